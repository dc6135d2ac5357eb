"""nxconvert: turns trained model files into ONNX, without the framework that made them."""
