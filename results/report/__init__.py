"""The comparison report: from saved runs to one page, to Markdown, to charts."""
