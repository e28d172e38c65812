"""Compare the ways to compute gradients, and to freeze, on a case of the user's own code."""
