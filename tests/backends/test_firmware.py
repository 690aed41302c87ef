"""The hand-written firmware: it compiles, and the flag arrives with the result."""

from __future__ import annotations

from pathlib import Path

import pytest

from trigger_ml import tools
from trigger_ml.backends.handwritten import handwritten
from trigger_ml.errors import ArtifactError

BENCH = """
`timescale 1ns / 1ps
module bench;
  reg clk = 0, reset = 1, valid = 0;
  wire out;
  integer edges = 0;
  event_valid #(.LATENCY_CYCLES(5)) dut (.clk(clk), .reset(reset), .valid_in(valid), .valid_out(out));
  initial begin
    repeat (3) begin #1 clk = 1; #1 clk = 0; end
    reset = 0; valid = 1;
    repeat (9) begin
      #1 clk = 1; #1 edges = edges + 1;
      if (out) $display("after %0d", edges);
      clk = 0; valid = 0;
    end
    $finish(0);
  end
endmodule
"""


@pytest.mark.needs_icarus
def test_the_valid_flag_takes_the_networks_latency(tmp_path: Path):
    (tmp_path / "event_valid.v").write_text(handwritten("rtl/event_valid.v"))
    (tmp_path / "bench.v").write_text(BENCH)
    tools.run(["iverilog", "-g2005", "-Wall", "-o", "s.vvp", "bench.v", "event_valid.v"], cwd=tmp_path, timeout_s=60)
    said = tools.run(["vvp", "-n", "s.vvp"], cwd=tmp_path, timeout_s=60).stdout
    assert said.split("\n")[0].strip() == "after 5"
    assert said.count("after") == 1


def test_a_file_that_does_not_exist_is_an_error():
    with pytest.raises(ArtifactError, match="firmware/none is missing"):
        handwritten("none")
