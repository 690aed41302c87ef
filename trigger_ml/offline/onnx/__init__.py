"""Networks of the layer list as ONNX models, in lowerings that give the same integers."""
