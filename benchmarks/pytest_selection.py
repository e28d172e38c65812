"""Make of the options of a pytest session the selection of cells, and refuse what is not there."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest

from benchmarks.harness.protocol import cells, ranks
from benchmarks.harness.protocol.precision import IEEE
from benchmarks.harness.selection import options
from benchmarks.harness.selection.names import split_names
from benchmarks.machine import frameworks


def selection_of(config: pytest.Config) -> options.Selection:
    """Return the selection of cells that the options of a pytest session make.

    Raises:
        SelectionError: a name does not exist, a number is not above 0, or no cell is left, unless
            ``--benchmark-skip`` says that nothing is timed.
    """
    names: dict[str, Any] = {name: split_names(config.getoption(name)) for name in cells.OPTIONS}
    device = _device(config)
    for option in ("launches", "most-launches", "group-seconds", "cell-seconds", "cell-limit"):
        options.check_positive(option, config.getoption(option.replace("-", "_")))
    present = tuple(frameworks.present())
    if not present:
        raise options.SelectionError(frameworks.none_installed())
    named = names["framework"] is not None
    names["framework"] = names["framework"] or present
    selection = options.Selection(
        **names,
        device=device,
        everything=config.getoption("everything"),
        precision_mode=config.getoption("precision_mode") or IEEE,
        ranks=_ranks(config, names["kind"]),
    )
    if named:
        _refuse_missing_frameworks(selection.framework or ())
    if not config.getoption("benchmark_skip"):
        selection.require_cells()
    return selection


def _ranks(config: pytest.Config, kinds: Iterable[str] | None) -> int:
    """Return the number of ranks; raise `SelectionError` for one that no cell can have."""
    given: int | None = config.getoption("ranks")
    if given is None:
        return ranks.DEFAULT_RANKS
    options.check_ranks(given, kinds)
    return given


def _device(config: pytest.Config) -> str:
    """Return the device to measure on; raise `SelectionError` for one that is not there."""
    elsewhere = bool(config.getoption("cluster"))  # nodes may have what this machine lacks
    device: str = config.getoption("device") or ("cpu" if elsewhere else options.default_device())
    options.check_name("device", device, options.DEVICES)
    if device == "cuda" and not elsewhere and options.default_device() != "cuda":
        raise options.SelectionError("--device 'cuda': no GPU is to be seen here; use --device cpu")
    return device


def _refuse_missing_frameworks(names: Iterable[str]) -> None:
    """Raise `SelectionError` for a framework that is selected by name and not installed."""
    for framework in names:
        reason = frameworks.why_missing(framework)
        if reason:
            raise options.SelectionError(f"--framework {framework}: {reason}")
