"""Did this change, or this upgrade, make it slower? Two versions in one session, in turns."""
