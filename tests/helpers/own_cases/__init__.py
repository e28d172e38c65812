"""Files of cases, each read by worker processes as a user's own file is."""
