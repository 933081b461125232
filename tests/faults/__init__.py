"""The fault campaign: what the rows of the list of faults need beyond the tests that stand beside the code."""
