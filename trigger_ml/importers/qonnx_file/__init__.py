"""The parts of the QONNX importer: the file, the rules node by node, and qonnx's own execution."""
