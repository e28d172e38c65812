"""Worker processes as their parent sees them: started, asked, kept in a pool, ended."""
