"""Training steps that are wrong, and right ones that look like them."""
