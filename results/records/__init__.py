"""Define records and runs: what they hold, how they are stored, read and validated."""
