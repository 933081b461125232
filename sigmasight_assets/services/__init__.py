"""Processes of one machine: the embedded PostgreSQL server and the supervised services."""
