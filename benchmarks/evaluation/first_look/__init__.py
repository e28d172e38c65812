"""Do on a machine that was never seen before, within minutes, all that can be done (`make gpu`)."""
