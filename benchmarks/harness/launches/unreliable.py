"""Declare the reasons for which a float64 reference is not used to check cells."""

from __future__ import annotations


class UnreliableReference(Exception):
    """Raised when a float64 reference cannot be relied on, so that no cell can be checked."""

    outcome = "wrong_gradients"


class ReferencesDisagree(UnreliableReference):
    """Raised when the float64 references of the two frameworks differ by more than rounding."""


class IncompleteReference(UnreliableReference):
    """Raised when a reference lacks the gradient of a parameter, or has one too many."""


class WronglyDeclared(UnreliableReference):
    """Raised when a gradient that the scenario declares to be 0 is not."""


class WrongFlow(UnreliableReference):
    """Raised when a loss changes a network that it must not change, or does not change one."""
