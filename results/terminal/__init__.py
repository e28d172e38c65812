"""Show runs and comparisons in a terminal."""
