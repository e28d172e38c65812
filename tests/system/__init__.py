"""Tests of whole sessions and commands, each in a process of its own."""
