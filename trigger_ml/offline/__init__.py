"""Offline models: networks with low-bit layers, trained, exported to ONNX and run exactly at reduced precision."""
