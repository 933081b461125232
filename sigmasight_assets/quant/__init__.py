"""Pure mathematics on numpy arrays: no I/O, no clock, no pandas."""
