"""The pages of operators, a module a framework."""
