"""Servers on loopback that stand in for the vendors; README.md says how to script them."""
