"""Make the report of saved runs: one HTML page, Markdown, charts, and tables."""
