"""Build the sections of the report, one file each; no section imports another."""
