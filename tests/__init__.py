"""SigmaSight test suite."""
