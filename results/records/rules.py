"""Say what a value from a file may be, and what is wrong with one that is something else.

A rule is a function of a value and of its place in the file. It returns None where the value is
allowed, else what stands there and what is allowed, such as ``records[3].seconds.low is -1.0;
allowed: a number from 1e-12 to 1e+09``. The functions below make rules, so that the tables of
`results.records.validation` read like the types in `results.records.schema`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from typing import Any

from results.records.texts import is_name

Rule = Callable[[Any, str], str | None]
SHOWN = 60  # characters of a wrong value in a message


def scalar(allowed: str, fits: Callable[[Any], bool]) -> Rule:
    """Return the rule for a value without parts.

    Args:
        allowed: what is allowed, in words.
        fits: whether a value is.
    """
    return lambda value, place: None if fits(value) else _not_allowed(value, place, allowed)


def number(low: float, high: float, *, above: bool = False, whole: bool = False) -> Rule:
    """Return the rule for a number in a range; true and false are none.

    Args:
        low: the least that is allowed.
        high: the most.
        above: whether ``low`` itself is too little, and ``high`` too much.
        whole: whether it must be an integer.
    """
    what = "an integer" if whole else "a number"
    words = f"{what} between {low:g} and {high:g}" if above else f"{what} from {low:g} to {high:g}"

    def fits(value: Any) -> bool:
        kinds = (int,) if whole else (int, float)
        if isinstance(value, bool) or not isinstance(value, kinds):
            return False
        return low < value < high if above else low <= value <= high

    return scalar(words, fits)


def one_of(words: Collection[str]) -> Rule:
    """Return the rule for one of these words."""
    return scalar(
        f"one of {', '.join(words)}", lambda value: isinstance(value, str) and value in words
    )


def name(most: int = 200) -> Rule:
    """Return the rule for a name of so many bytes at most, see `results.records.texts.is_name`."""
    words = f"a name of at most {most} letters, digits, '_', '.' and '@'"
    return scalar(words, lambda value: is_name(value, most))


text = scalar("a text", lambda value: isinstance(value, str))
flag = scalar("true or false", lambda value: isinstance(value, bool))


def anything(value: Any, place: str) -> None:
    """Allow any value."""


def or_null(rule: Rule) -> Rule:
    """Return the rule that allows null too."""

    def problem(value: Any, place: str) -> str | None:
        message = None if value is None else rule(value, place)
        return f"{message} or null" if message and not isinstance(value, list | dict) else message

    return problem


def list_of(rule: Rule) -> Rule:
    """Return the rule for a list, each item of which obeys a rule."""

    def problem(value: Any, place: str) -> str | None:
        if not isinstance(value, list):
            return _not_allowed(value, place, "a list")
        return _first_problem(rule(item, f"{place}[{at}]") for at, item in enumerate(value))

    return problem


def mapping_of(rule: Rule) -> Rule:
    """Return the rule for an object with any keys, each value of which obeys a rule."""

    def problem(value: Any, place: str) -> str | None:
        if not isinstance(value, dict):
            return _not_allowed(value, place, "an object")
        return _first_problem(rule(item, f"{place}.{key:.{SHOWN}}") for key, item in value.items())

    return problem


def fields(required: Mapping[str, Rule], optional: Mapping[str, Rule] | None = None) -> Rule:
    """Return the rule for an object with these keys; other keys, of a later version, may stand too.

    Args:
        required: key → the rule of its value.
        optional: the same of keys that may be absent.
    """
    rules = {**required, **(optional or {})}

    def problem(value: Any, place: str) -> str | None:
        if not isinstance(value, dict):
            return _not_allowed(value, place, "an object")
        absent = [key for key in required if key not in value]
        if absent:
            return f"{place or 'it'} lacks {', '.join(absent)}"
        prefix = f"{place}." if place else ""
        return _first_problem(
            rule(value[key], f"{prefix}{key}") for key, rule in rules.items() if key in value
        )

    return problem


def also(rule: Rule, check: Callable[[Any, str], str | None]) -> Rule:
    """Return a rule with a second check, made only of what the first one allows, null excluded."""

    def problem(value: Any, place: str) -> str | None:
        message = rule(value, place)
        return message if message or value is None else check(value, place)

    return problem


def _first_problem(problems: Any) -> str | None:
    """Return the first of these problems that is one."""
    return next((problem for problem in problems if problem), None)


def _not_allowed(value: Any, place: str, allowed: str) -> str:
    """Return what stands at a place of the file, and what is allowed there."""
    return f"{place or 'it'} is {_short_text(value)}; allowed: {allowed}"


def _short_text(value: Any) -> str:
    """Return a wrong value for a message: short, in plain letters."""
    if isinstance(value, list | dict):
        kind = "a list" if isinstance(value, list) else "an object"
        return f"{kind} of {len(value)}"
    shown = json.dumps(value)
    return shown if len(shown) <= SHOWN else f"{shown[:SHOWN]}…"
