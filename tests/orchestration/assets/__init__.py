"""Tests of the asset definitions, through real runs inside the process."""
