"""Tests of modules together with worker processes or real frameworks."""
