"""What is compared, checked and timed: the only room that sees the implementations and results."""
