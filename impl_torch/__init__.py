"""Implement every scenario in PyTorch, with the same files and names as ``impl_jax``."""
