// Carries a flag beside a network: VALID_OUT belongs to the result that the network gives out in the same clock.
//
// The network itself has no reset, no valid and no stall: it takes an event every clock and answers after
// LATENCY_CYCLES clock edges (the module's localparam, and `latency_cycles` in ports.json), at least one. Only this
// flag is reset.

`timescale 1ns / 1ps
`default_nettype none

module event_valid #(
    parameter integer LATENCY_CYCLES = 12
) (
    input  wire clk,
    input  wire reset,
    input  wire valid_in,
    output wire valid_out
);
  reg [LATENCY_CYCLES-1:0] flags;
  wire [LATENCY_CYCLES:0] chain = {flags, valid_in};

  always @(posedge clk) begin
    if (reset) flags <= {LATENCY_CYCLES{1'b0}};
    else flags <= chain[LATENCY_CYCLES-1:0];
  end

  assign valid_out = chain[LATENCY_CYCLES];
endmodule

`default_nettype wire
