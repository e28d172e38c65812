"""Make records, runs and comparisons as sessions would have saved them, without measuring."""
