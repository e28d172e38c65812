"""Show runs, comparisons and histories in a terminal."""
