"""What a worker is told to prepare: which cells, and what each is held to before it is timed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.protocol import equivalence
from benchmarks.harness.protocol.cells import UNFROZEN, WASTEFUL, built
from benchmarks.scenarios.spec import matches


def request(
    way: Mapping[str, Any],
    files: ProblemFiles,
    reference: str,
    names: Iterable[str],
    *,
    count: bool = False,
    products: bool = False,
) -> dict[str, Any]:
    """The arguments of a worker's ``prepare``.

    Args:
        way: ``kind``, ``phase``, ``mode`` and ``dtype`` of the cells, which are all of one group.
        files: the problem, open in the worker.
        reference: the file of float64 gradients that the cells are held to.
        names: their strategies or recipes.
        count, products: whether FLOPs are counted, and matrix products listed.
    """
    spec = files.spec
    margin = spec.kink_margin(files.variant, files.size)
    rules = {
        "allowed": equivalence.tolerance(way["dtype"], margin),
        "dtype": way["dtype"],
        "phase": way["phase"],
        "networks": list(spec.variants[files.variant].networks),
        "zero_gradient": list(spec.zero_gradient),
        "exact_zero": _exact_zero(files),
        "optimizer": spec.optimizer_of(files.variant).kind,
    }
    return {
        "kind": way["kind"],
        "phase": way["phase"],
        "mode": way["mode"],
        "cells": {name: _frozen_for(name, files) for name in names},
        "reference": reference,
        "rules": rules,
        "count": count,
        "products": products,
    }


def _exact_zero(files: ProblemFiles) -> list[str]:
    """Parameters whose gradient is exactly 0 in this variant."""
    layers = files.spec.variants[files.variant].exact_zero
    return [
        name
        for reached in files.facts["reach"].values()
        for name in reached
        if matches(name, layers)
    ]


def _frozen_for(name: str, files: ProblemFiles) -> dict[str, list[str]]:
    """What must keep ``still``, and what must have no gradient, for this strategy or recipe."""
    frozen = files.facts["frozen"]
    return {
        "still": [] if built(name) == UNFROZEN else frozen,
        "no_gradient": [] if built(name) in WASTEFUL else frozen,
    }
