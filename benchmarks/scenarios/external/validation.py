"""What is wrong with a spec, said before anything is measured: one line, or nothing."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Any

import numpy as np

from benchmarks.scenarios import SIZES, Scenario, Variant
from benchmarks.scenarios.external import errors
from benchmarks.scenarios.spec import Optimizer, Parameter, Parameters, matches

# a "-" separates the fields of a cell's name, a comma the names of an option
NAME = re.compile(r"-|[A-Za-z0-9_][A-Za-z0-9_.]*")
ARRANGEMENTS = ("groups", "separate", "together")
SETTINGS = {
    "adam": ("lr", "betas", "eps", "weight_decay"),
    "adamw": ("lr", "betas", "eps", "weight_decay"),
    "sgd": ("lr", "momentum", "weight_decay"),
}


def mistake(scenario: Scenario) -> str | None:
    """The first mistake in the spec; None if it can be used."""
    try:
        return next(_mistakes(scenario), None)
    except Exception as error:  # a field of another kind than any that is looked for
        return f"cannot be read as a Scenario: {type(error).__name__}: {errors.one_line(error)}"


def _mistakes(scenario: Scenario) -> Iterator[str]:
    yield from _of_names(scenario)
    yield from _of_sizes(scenario)
    yield from _of_optimizer(scenario.optimizer)
    for name, variant in scenario.variants.items():
        for problem in _of_variant(scenario, name, variant):
            yield problem if name == "-" else f"variant {name!r}: {problem}"
    for training in scenario.trainings:
        turns = {turn for segment in training.segments for turn in segment.turns}
        yield from _unknown(f"training {training.name!r} turns to", turns, scenario.variants)


def _of_names(scenario: Scenario) -> Iterator[str]:
    name = scenario.name
    if not isinstance(name, str) or not name.isidentifier() or name == "all":
        yield f"name {name!r} must be that of a function, such as 'my_network'"
    if not scenario.variants:
        yield "no variants; give at least variants={'-': Variant(...)}"
    for variant, chosen in scenario.variants.items():
        if not isinstance(chosen, Variant):
            yield f"variant {variant!r} is a {type(chosen).__name__}, should be a Variant"
        for given in (variant, *chosen.flow):
            if not NAME.fullmatch(given) or given == "all":
                yield f"name {given!r} may hold letters, digits, '_' and '.', nothing else"


def _of_sizes(scenario: Scenario) -> Iterator[str]:
    yield from _unknown("sizes has", scenario.sizes, SIZES)
    wanted = (*scenario.check_sizes, scenario.freeze_size)
    for size in dict.fromkeys(wanted):
        if size not in scenario.sizes:
            yield f"sizes lacks {size!r}, at which the checks run; it has {_list(scenario.sizes)}"
    for size, arguments in scenario.sizes.items():
        for name in scenario.structure:
            if name not in arguments:
                yield f"size {size!r} lacks {name!r}, which structure names"


def _of_optimizer(optimizer: Optimizer) -> Iterator[str]:
    yield from _unknown("the optimizer is", [optimizer.kind], SETTINGS)
    allowed = SETTINGS[optimizer.kind]
    yield from _unknown(f"{optimizer.kind} is given", optimizer.settings, allowed)
    yield from _unknown("the optimizer's arrangement is", [optimizer.arrangement], ARRANGEMENTS)
    if "lr" not in optimizer.settings:
        yield f"{optimizer.kind} is given no lr"


def _of_variant(scenario: Scenario, name: str, variant: Variant) -> Iterator[str]:
    yield from _of_tuples(variant)
    for size in scenario.sizes:
        parameters, problem = _parameters(scenario, name, size)
        yield from [problem] if problem else []
    yield from _of_networks(scenario, variant, list(parameters))
    if variant.optimizer:
        yield from _of_optimizer(variant.optimizer)
    for label in scenario.optimizer_of(name).rates:
        yield from _matching("rates", [label], parameters)
    yield from _of_data(scenario, name)


def _of_tuples(variant: Variant) -> Iterator[str]:
    """A tuple of one name without its comma is a string, and a string is a tuple of letters."""
    fields = {"networks": variant.networks, "frozen": variant.frozen}
    fields |= {"exact_zero": variant.exact_zero}
    fields |= {f"flow[{loss!r}]": reached for loss, reached in variant.flow.items()}
    for what, names in fields.items():
        if isinstance(names, str):
            yield f"{what} is {names!r}, should be a tuple: ({names!r},)"
    if not variant.networks:
        yield "no networks; name them in order, such as networks=('net1', 'net2')"
    if not variant.flow:
        yield "no flow; say for each loss the networks it reaches: flow={'loss1': ('net1',)}"


def _parameters(scenario: Scenario, variant: str, size: str) -> tuple[Parameters, str | None]:
    where = f"parameters() at size {size!r}"
    try:
        found = scenario.parameters_of(variant, size)
        drawn = {**found, **scenario.buffers_of(variant, size)}
    except Exception as error:
        return {}, f"{where} raises {_raised(scenario, error)}"
    wrong = [name for name, one in drawn.items() if not isinstance(one, Parameter)]
    if wrong:
        kind = type(drawn[wrong[0]]).__name__
        return found, f"{where}: {wrong[0]} is a {kind}, should be a Parameter"
    return found, None if found else f"{where} returns none"


def _of_networks(scenario: Scenario, variant: Variant, names: list[str]) -> Iterator[str]:
    yield from _matching("networks", variant.networks, names)
    for loss, reached in variant.flow.items():
        yield from _matching(f"flow[{loss!r}]", reached, names)
    yield from _matching("frozen", variant.frozen, names)
    yield from _matching("exact_zero", variant.exact_zero, names)
    yield from _unknown("zero_gradient has", scenario.zero_gradient, names)
    for name in names:
        if not matches(name, variant.networks):
            yield f"parameter {name!r} is in none of networks: {_list(variant.networks)}"
    reached_at_all = tuple(chain.from_iterable(variant.flow.values()))
    if all(matches(n, variant.frozen) or not matches(n, reached_at_all) for n in names):
        yield "nothing is left to train: what the losses reach is frozen"


def _of_data(scenario: Scenario, variant: str) -> Iterator[str]:
    """Drawn at the size of the checks; at the others only its arguments are looked at."""
    for size in scenario.sizes:
        try:
            inspect.signature(scenario.data).bind(None, **scenario.everything(variant, size))
        except TypeError as error:
            yield f"data() at size {size!r}: {errors.one_line(error)}"
    size = scenario.check_sizes[0]
    try:
        data = scenario.data(np.random.default_rng(0), **scenario.everything(variant, size))
        yield from _of_arrays(data)
        scenario.draw(variant, size)
    except Exception as error:
        yield f"drawing weights and data at size {size!r} raises {_raised(scenario, error)}"


def _of_arrays(data: Mapping[str, Any]) -> Iterator[str]:
    for name, array in data.items():
        if not isinstance(array, np.ndarray):
            yield f"data() returns {name!r} as a {type(array).__name__}, should be a NumPy array"
    if "x" not in data:
        yield f"data() returns {_list(data)}; the first network's input must be there as 'x'"


def _raised(scenario: Scenario, error: Exception) -> str:
    assert scenario.file is not None
    return errors.told(error, scenario.file)


def _matching(what: str, given: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """Names of networks and layers under which there is no parameter."""
    for prefix in given:
        if not any(matches(name, (prefix,)) for name in names):
            yield f"{what} names {prefix!r}, which no parameter has; there are {_list(names)}"


def _unknown(what: str, given: Iterable[str], allowed: Iterable[str]) -> Iterator[str]:
    for name in given:
        if name not in allowed:
            yield f"{what} {name!r}; allowed: {_list(allowed)}"


def _list(names: Iterable[Any] | Mapping[str, Any]) -> str:
    listed = [str(name) for name in names]
    return ", ".join(listed if len(listed) <= 12 else [*listed[:12], "…"])
