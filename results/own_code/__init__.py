"""The document of a comparison on a user's own code: what it holds, and how it is read."""
