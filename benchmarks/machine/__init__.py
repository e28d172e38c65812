"""What is measured on: the machine's stable facts, its settings, and what else goes on in it."""
