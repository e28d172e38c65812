"""Implement every scenario in JAX, with the same files and names as ``impl_torch``."""
