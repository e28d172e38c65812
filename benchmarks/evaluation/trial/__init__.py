"""Measure how often this suite and other tools raise false alarms, and how much they find."""
