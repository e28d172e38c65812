"""Save, analyse and report measurements.

Nothing here imports a framework, or the harness that measures.
"""
