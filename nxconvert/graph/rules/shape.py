"""Operators that move, select or repeat elements: reshape, transpose, slice, concat, gather, pad."""
