"""The shared graph: how it is built, what its values know, and the mechanism of the operator tables."""

IR_OPSET = 20
"""The one opset of the shared graph; backends convert to what the user asks for."""
