"""Market data sources behind one protocol, and the validation of what they send."""
