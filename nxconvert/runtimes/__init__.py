"""What runs models here: ONNX Runtime, ONNX's reference evaluator, PyTorch."""
