"""The integer graph as plain ONNX operators: the writer, and a rule for each operation."""
