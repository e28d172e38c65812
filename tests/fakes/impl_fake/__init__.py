"""A third framework, in NumPy: the harness must work with any framework."""
