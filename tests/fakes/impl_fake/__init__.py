"""A third framework, in NumPy: the harness must not care which one it drives."""
