"""Every scenario in JAX: the twin of ``impl_torch``, file by file and name by name."""
