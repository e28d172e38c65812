"""Run a benchmark session: measure every selected cell, save the run, go on with a stopped one."""
