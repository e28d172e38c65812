"""A cell that is built a second time under another name, ``summed@again``, is measured too."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Measured = Callable[..., dict[str, Any]]


def test_alias_builds_what_stands_before_the_at_and_the_gate_judges_it(measured: Measured) -> None:
    outcomes = measured("summed", "summed@again", "scaled@again")
    assert [outcomes[name]["outcome"] for name in ("summed", "summed@again")] == ["ok", "ok"]
    assert [len(launch) > 0 for launch in outcomes["summed@again"]["samples"]] == [True, True]
    assert outcomes["scaled@again"]["outcome"] == "wrong_gradients"
    slow = measured("summed", "slow@again")["slow@again"]["samples"]
    assert min(min(launch) for launch in slow) > 0.02
