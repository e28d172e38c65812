"""Measure on the nodes of a cluster: units, the node that measures them, and the engines."""
