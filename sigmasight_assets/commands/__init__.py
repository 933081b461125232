"""The commands of ``sigmasight``, one module per noun."""
