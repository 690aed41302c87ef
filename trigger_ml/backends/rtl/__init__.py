"""The integer graph as registers and gates: lowered through alkaid, pipelined, printed, simulated."""
