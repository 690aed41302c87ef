"""Registers and gates: the integer graph lowered through alkaid, pipelined, printed as Verilog and VHDL, and simulated."""
