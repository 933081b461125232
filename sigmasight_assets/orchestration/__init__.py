"""Everything Dagster: one module per noun."""
