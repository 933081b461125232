"""Asset definitions, one module per product family."""
