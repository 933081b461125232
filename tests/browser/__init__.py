"""The pages in a real browser, on a real demo: what people see, and that it is what the API answers."""
