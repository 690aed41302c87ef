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
  event_valid #(.LATENCY_CYCLES(CYCLES)) dut (.clk(clk), .reset(reset), .valid_in(valid), .valid_out(out));
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
@pytest.mark.parametrize("cycles", [1, 2, 5])
def test_the_valid_flag_takes_the_networks_latency(tmp_path: Path, cycles: int):
    (tmp_path / "event_valid.v").write_text(handwritten("rtl/event_valid.v"))
    (tmp_path / "bench.v").write_text(BENCH.replace("CYCLES(CYCLES)", f"CYCLES({cycles})"))
    argv = ["iverilog", "-g2005", "-Wall", "-o", "s.vvp", "bench.v", "event_valid.v"]
    assert tools.run(argv, cwd=tmp_path, timeout_s=60).stdout == ""
    said = tools.run(["vvp", "-n", "s.vvp"], cwd=tmp_path, timeout_s=60).stdout
    assert said.split("\n")[0].strip() == f"after {cycles}"
    assert said.count("after") == 1


@pytest.mark.needs_rtl
@pytest.mark.parametrize("cycles", [1, 2, 12])
def test_verilator_has_nothing_to_say_of_the_valid_flag(tmp_path: Path, cycles: int):
    (tmp_path / "event_valid.v").write_text(handwritten("rtl/event_valid.v"))
    argv = ["verilator", "--lint-only", "-Wall", f"-GLATENCY_CYCLES={cycles}", "event_valid.v"]
    assert "%" not in tools.run(argv, cwd=tmp_path, timeout_s=60).stdout  # %Warning, %Error


def test_a_file_that_does_not_exist_is_an_error():
    with pytest.raises(ArtifactError, match="firmware/none is missing"):
        handwritten("none")
