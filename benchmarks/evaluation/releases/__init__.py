"""Run the core checks with other releases of torch, JAX and Python (``make matrix``)."""
