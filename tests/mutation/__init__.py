"""Mutation testing of the mathematics and of the gate: `make mutants`."""
