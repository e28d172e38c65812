"""Every scenario in PyTorch: the twin of ``impl_jax``, file by file and name by name."""
