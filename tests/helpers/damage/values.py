"""Values that a damaged or hostile file may hold in place of any other."""

from __future__ import annotations

import json
from typing import Any

from tests.helpers.hostile_names import HOSTILE, NAMES

NUMBERS: tuple[Any, ...] = (
    0, -1, 1, 2, -1.0, 0.5, 1e308, -1e308, 5e-324, 1e-13, 1e9, 1e12, 1e30, 10**30, -(10**30), 2**63,
    10**400,
)  # fmt: skip
TEXTS: tuple[str, ...] = (
    "", "-", "a-b", "..", "../../outside", "/etc/passwd", "a/b", "a\\b", "x.y", "C:", "nan", "1e3",
    "=1+1", "+1", "@SUM(A1)", "\t=1", "＝1", "summed", "torch", "jax", "ok", "slower", "20261121",
    "9999-12-31T23:59:59-23:59", "0001-01-01T00:00:00+23:59", "20261121T010203-ffffff",
    "`code` $x$ | a <b> &amp;", "{{ 7*7 }}{% raw %}", "http://example.org",
    "\x00", "\x1b[31m", "\x9b",
    "\u202e", "\u2028", "\udc80", "\ufeff", "x" * 5000, "\N{COMBINING ACUTE ACCENT}" * 500,
)  # fmt: skip
NESTED: tuple[Any, ...] = (
    [],
    {},
    [[]],
    [None],
    [1, "a"],
    {"": ""},
    {"a": None},
    {"id": "m"},
    [{}] * 3,
    {"estimate": 1.0, "low": None, "high": None, "confidence": None, "launches": None},
    {"estimate": None, "low": None, "high": None, "confidence": None, "launches": 1},
    {"estimate": 1.0, "low": 2.0, "high": 0.5, "confidence": 0.95, "launches": 6},
    {"estimate": 1e300, "low": 1e-300, "high": 1e308, "confidence": 1e-300, "launches": 6},
    {"a": {"b": {"c": {"d": {"e": "f"}}}}},
    json.loads("[" * 25 + "]" * 25),
    json.loads("[" * 900 + "]" * 900),
    {"\x1b]0;owned\x07": {"\x1b[2J": {"\u202e": "\x9b"}}},
    {"../../outside/n2": {"../x": {"../y": {"../z": "value"}}}},
)
CONSTANTS: tuple[Any, ...] = (None, True, False, float("inf"), float("nan"))
VALUES: tuple[Any, ...] = (*NUMBERS, *TEXTS, *NAMES.values(), *HOSTILE, *NESTED, *CONSTANTS)
BYTES = (b"", b"\x00", b"\xff\xfe", b'"', b"}", b"[[", b",", b"\x1b[31m", b"1e999", b"PK\x01\x02")
