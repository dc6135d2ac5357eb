"""What runs models: ONNX Runtime, ONNX's reference evaluator, PyTorch; Caffe2 and CNTK in Pythons of their own."""
