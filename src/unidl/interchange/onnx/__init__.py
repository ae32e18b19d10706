"""ONNX, both ways. The public names are in `unidl.onnx`."""
