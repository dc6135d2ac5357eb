"""TorchScript by partial evaluation: an interpreter whose values are known or in the graph."""
