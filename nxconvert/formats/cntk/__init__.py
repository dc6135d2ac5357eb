"""CNTK's files: bytes to plain Python, no semantics."""
