"""Compare two versions of the code, or of its packages, in one session and in alternating turns."""
