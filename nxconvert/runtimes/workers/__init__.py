"""Scripts for other Python interpreters, which have frameworks that this one has not. They import nothing of ours."""
