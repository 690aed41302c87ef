"""Engines: each makes something of a graph (HLS project, Verilog, VHDL, ONNX) and runs it on integers."""
