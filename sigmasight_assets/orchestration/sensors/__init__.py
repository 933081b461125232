"""Sensors, one a module: each asks a pure planner and requests runs, or says what it waits for."""
