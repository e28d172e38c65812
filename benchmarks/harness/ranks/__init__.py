"""Measure a cell by several ranks: processes (torch) or devices of one (JAX), behind one worker."""
