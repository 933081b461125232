"""Tests of the benchmarks: that they compare equal work."""
