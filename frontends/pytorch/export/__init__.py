"""Exported programs (``torch.export``): graphs of ATen calls, run on the machine that runs TorchScript."""
