"""After the clock: records, statistics, reports. Knows no framework, and no harness."""
