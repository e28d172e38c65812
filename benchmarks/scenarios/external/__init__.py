"""Your own network: scenarios that stand in files outside this repository."""
