"""Assert which network each loss sends a gradient to."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

from cascade_bench.case import FLOWS
from cascade_bench.client import examine
from cascade_bench.target import CaseError


def assert_flow(
    make: Callable[[], Any] | str | os.PathLike[str],
    expected: Mapping[str, Mapping[str, str]],
    *,
    framework: str | None = None,
) -> None:
    """Fail unless the gradient of each loss arrives where it should, found out in float64.

    Args:
        make: as in `cascade_bench.compare`.
        expected: loss → network → ``"value"``, ``"zero"`` (a gradient of exact zeros) or
            ``"absent"`` (none at all). Losses and networks that it leaves out are not judged.
        framework: None for every one that the case has.

    Raises:
        AssertionError: names each loss and network that is otherwise.
        CaseError: the case cannot be run, or has no such loss or network.
    """
    _check_expected(expected)
    flows = examine(make, framework=framework).flows
    wrong = [line for name, flow in flows.items() for line in unlike(name, flow, expected)]
    if wrong:
        raise AssertionError("gradients do not flow as expected: " + "; ".join(wrong))


def unlike(
    framework: str,
    flow: Mapping[str, Mapping[str, str]],
    expected: Mapping[str, Mapping[str, str]],
) -> Iterator[str]:
    """Yield a line for each loss and network whose flow is not the expected one.

    Raises:
        CaseError: the case has no such loss or network.
    """
    for loss, networks in expected.items():
        _demand("loss", loss, flow)
        for network, kind in networks.items():
            _demand("network", network, flow[loss])
            actual = flow[loss][network]
            if actual != kind:
                yield f"{loss} → {network} is {actual}, expected {kind} ({framework})"


def _check_expected(expected: Mapping[str, Mapping[str, str]]) -> None:
    """Refuse an expectation that judges nothing, or names a kind that there is not.

    Raises:
        ValueError: says which.
    """
    kinds = [kind for networks in expected.values() for kind in networks.values()]
    if not kinds:
        raise ValueError("assert_flow was given nothing to judge; give loss → network → kind")
    for kind in kinds:
        if kind not in FLOWS:
            raise ValueError(f"{kind!r} is no kind of gradient; give one of {', '.join(FLOWS)}")


def _demand(kind: str, name: str, known: Collection[str]) -> None:
    """Demand that the case has a loss or network of this name."""
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
        raise CaseError(f"the case has no {kind} {name!r}; {hint}")
