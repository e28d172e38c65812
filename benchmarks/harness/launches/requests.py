"""Build the request that makes a worker prepare cells, with the rules that each must obey."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.launches.float64_references import reached
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.protocol import equivalence, ranks, traffic
from benchmarks.harness.protocol.cells import UNFROZEN, shows_frozen_gradients, strategy_of
from benchmarks.harness.protocol.messages import GateRules, PrepareRequest
from benchmarks.harness.protocol.precision import IEEE, bounds
from benchmarks.scenarios.spec import matches


def prepare_request(
    group: Mapping[str, Any],
    files: ProblemFiles | CaseFiles,
    reference: str,
    names: Iterable[str],
    *,
    count: bool = False,
    products: bool = False,
) -> PrepareRequest:
    """Return the arguments of the operation ``prepare``, which builds and checks cells.

    Args:
        group: ``kind``, ``phase``, ``mode``, ``dtype`` and ``precision_mode``, which all cells
            share; without the last one it is ``ieee``.
        files: the problem, open in the worker.
        reference: the file of float64 gradients that the cells are compared with.
        names: the strategies or recipes to prepare.
        count: whether to count FLOPs and saved bytes.
        products: whether to list the matrix products.
    """
    if isinstance(files, CaseFiles):
        rules = files.rules_of_group(group)
        cells = {n: files.rules_of_cell(n, group["phase"]) for n in names}
    else:
        rules = _rules_of_group(group, files)
        cells = {n: _rules_of_cell(n, group["phase"], files) for n in names}
        if group["kind"] == ranks.DISTRIBUTED:
            cells = {n: {**own, **_traffic(n, files, group)} for n, own in cells.items()}
    request: PrepareRequest = {
        "kind": group["kind"],
        "phase": group["phase"],
        "mode": group["mode"],
        "cells": cells,
        "reference": reference,
        "rules": rules,
        "count": count,
        "products": products,
    }
    mode = group.get("precision_mode", IEEE)
    if mode != IEEE:  # a worker of an older version does not know these keys
        request |= {"precision_mode": mode, "precision_rules": _lower_bounds(mode, files)}
    return request


def _lower_bounds(mode: str, files: ProblemFiles | CaseFiles) -> GateRules:
    """Return the bounds of cells that are timed in a lower precision than float32.

    Args:
        mode: ``tf32`` or ``bf16``.
        files: the problem, which must be a scenario's.
    """
    if isinstance(files, CaseFiles):
        raise ValueError(f"precision mode {mode!r}: a case of the user's own has ieee alone")
    parameters = {name for names in files.problem_spec["reach"].values() for name in names}
    layers = sum(name.endswith(".weight") for name in parameters)
    losses = len(files.problem_spec["reach"])
    return bounds(mode, layers, losses, files.spec.optimizer_of(files.variant).kind)


def _rules_of_group(group: Mapping[str, Any], files: ProblemFiles) -> GateRules:
    """Return the bounds by which the gate judges every cell of a group.

    Args:
        group: ``phase`` and ``dtype`` of the group.
        files: the problem.
    """
    spec = files.spec
    margin = spec.kink_margin(files.variant, files.size)
    return {
        "allowed": equivalence.tolerance(group["dtype"], margin),
        "dtype": group["dtype"],
        "phase": group["phase"],
        "networks": list(spec.variants[files.variant].networks),
        "zero_gradient": list(spec.zero_gradient),
        "exact_zero": _exact_zero(files),
        "optimizer": spec.optimizer_of(files.variant).kind,
    }


def _exact_zero(files: ProblemFiles) -> list[str]:
    """Return the parameters whose gradient is 0 bit by bit in the problem's variant."""
    layers = files.spec.variants[files.variant].exact_zero
    return [
        name
        for parameters in files.problem_spec["reach"].values()
        for name in parameters
        if matches(name, layers)
    ]


def _rules_of_cell(name: str, phase: str, files: ProblemFiles) -> GateRules:
    """Return the parameters that a cell leaves unchanged, those without and those with a gradient.

    The first two are the frozen ones, the last the others that a loss reaches. A recipe that
    freezes nothing may change them, and one that computes gradients in vain has theirs too.

    Args:
        name: of the strategy or recipe.
        phase: of the cell.
        files: the problem.
    """
    frozen = files.problem_spec["frozen"]
    without = [] if shows_frozen_gradients(strategy_of(name), phase) else frozen
    return {
        "still": [] if strategy_of(name) == UNFROZEN else frozen,
        "no_gradient": without,
        "gradients": [n for n in reached(files.problem_spec["reach"]) if n not in without],
    }


def _traffic(name: str, files: ProblemFiles, group: Mapping[str, Any]) -> GateRules:
    """Return the bytes that a rank must reduce, and gather, in a call of a cell.

    Args:
        name: of the strategy.
        files: the problem.
        group: ``mode`` and ``dtype`` of the group.
    """
    parameters = files.spec.parameters_of(files.variant, files.size)
    shapes = {parameter: one.shape for parameter, one in parameters.items()}
    item = np.dtype(group["dtype"]).itemsize
    mode, strategy, spec = group["mode"], strategy_of(name), files.problem_spec
    gathered = traffic.gathered_bytes(mode, strategy, spec["reach"], spec["flow"], shapes, item)
    rules: GateRules = {
        "reduced_bytes": traffic.reduced_bytes(mode, strategy, spec["flow"], shapes, item)
    }
    return {**rules, "gathered_bytes": gathered} if gathered else rules
