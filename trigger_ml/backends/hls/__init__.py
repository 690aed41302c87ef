"""Parts of the hls4ml engine: the lowering to hls4ml's layers, the project, and its test bench."""
