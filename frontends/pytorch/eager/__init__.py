"""Live modules of PyTorch: the only part of the frontend that imports it."""
