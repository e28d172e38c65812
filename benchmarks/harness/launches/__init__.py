"""Start, question, pool and end the worker processes, as their parent sees them."""
