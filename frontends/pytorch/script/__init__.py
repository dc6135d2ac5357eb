"""TorchScript by partial evaluation: an interpreter whose values are either known or in the graph under construction."""
