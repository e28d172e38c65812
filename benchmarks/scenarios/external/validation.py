"""Find the first mistake in an external spec before anything is measured."""

from __future__ import annotations

import difflib
import inspect
import re
from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.scenarios import SIZES, Scenario, Variant
from benchmarks.scenarios.external import errors
from benchmarks.scenarios.layouts import IMAGE, LAYOUTS
from benchmarks.scenarios.spec import Optimizer, Parameter, Parameters, Training, matches

# letters of a name: "-" separates the fields of a cell's name, a comma the names of an option
NAME = re.compile(r"-|[A-Za-z0-9_][A-Za-z0-9_.]*")
ARRANGEMENTS = ("groups", "separate", "together")
SETTINGS = {
    "adam": ("lr", "betas", "eps", "weight_decay"),
    "adamw": ("lr", "betas", "eps", "weight_decay"),
    "sgd": ("lr", "momentum", "weight_decay"),
}


def first_mistake(scenario: Scenario) -> str | None:
    """Return the first mistake in the spec as one line; None if the spec can be used."""
    try:
        return next(_mistakes(scenario), None)
    except Exception as error:  # a field of a type that no check below expects
        return f"cannot be read as a Scenario: {type(error).__name__}: {errors.one_line(error)}"


def _mistakes(scenario: Scenario) -> Iterator[str]:
    """Yield a sentence for each mistake in a spec; later ones may follow from the first."""
    yield from _names_mistakes(scenario)
    yield from _sizes_mistakes(scenario)
    yield from _optimizer_mistakes(scenario.optimizer)
    for name, variant in scenario.variants.items():
        for problem in _variant_mistakes(scenario, name, variant):
            yield problem if name == "-" else f"variant {name!r}: {problem}"
    for training in scenario.trainings:
        turns = {turn for segment in training.segments for turn in segment.turns}
        yield from _unknown(f"training {training.name!r} turns to", turns, scenario.variants)
        yield from _groups_mistakes(scenario, training)


def _groups_mistakes(scenario: Scenario, training: Training) -> Iterator[str]:
    """Yield groups whose rates a training changes, and followers, that are not there."""
    for segment in training.segments:
        optimizer = scenario.optimizer_of(segment.turns[0])
        groups = tuple(optimizer.rates) or scenario.variants[segment.turns[0]].networks
        present = () if optimizer.arrangement == "together" else groups
        label = f"training {training.name!r} changes the rate of"
        yield from _unknown(label, segment.only, present)
        if segment.follower:
            pair = (segment.follower.network, segment.follower.leader)
            networks = scenario.variants[segment.turns[0]].networks
            yield from _unknown(f"training {training.name!r} has a follower of", pair, networks)


def _names_mistakes(scenario: Scenario) -> Iterator[str]:
    """Yield mistakes in the names of the scenario, of its variants and of their losses."""
    name = scenario.name
    if not isinstance(name, str) or not name.isidentifier() or name == "all":
        yield f"name {name!r} must be that of a function, such as 'my_network'"
    if not scenario.variants:
        yield "no variants; give at least variants={'-': Variant(...)}"
    for variant, chosen in scenario.variants.items():
        if not isinstance(chosen, Variant):
            yield f"variant {variant!r} is a {type(chosen).__name__}, should be a Variant"
        for label in (variant, *chosen.flow):
            if not NAME.fullmatch(label) or label == "all":
                yield f"name {label!r} may hold letters, digits, '_' and '.', nothing else"


def _sizes_mistakes(scenario: Scenario) -> Iterator[str]:
    """Yield sizes that do not exist, that the checks need, or that lack an argument."""
    yield from _unknown("sizes has", scenario.sizes, SIZES)
    needed = (*scenario.check_sizes, scenario.freeze_size)
    for size in dict.fromkeys(needed):
        if size not in scenario.sizes:
            yield f"sizes lacks {size!r}, at which the checks run; it has {_list(scenario.sizes)}"
    for size, arguments in scenario.sizes.items():
        for name in scenario.structure:
            if name not in arguments:
                yield f"size {size!r} lacks {name!r}, which structure names"


def _optimizer_mistakes(optimizer: Optimizer) -> Iterator[str]:
    """Yield an unknown optimizer, unknown settings or arrangement, and a missing learning rate."""
    yield from _unknown("the optimizer is", [optimizer.kind], SETTINGS)
    allowed = SETTINGS[optimizer.kind]
    yield from _unknown(f"{optimizer.kind} is given", optimizer.settings, allowed)
    yield from _unknown("the optimizer's arrangement is", [optimizer.arrangement], ARRANGEMENTS)
    if optimizer.rates and optimizer.arrangement == "together":
        yield "rates need the arrangement 'groups' or 'separate'; 'together' has one rate"
    if "lr" not in optimizer.settings:
        yield f"{optimizer.kind} is given no lr"


def _variant_mistakes(scenario: Scenario, name: str, variant: Variant) -> Iterator[str]:
    """Yield the mistakes of one variant: names, parameters at every size, optimizer, data."""
    yield from _tuples_mistakes(variant)
    names: dict[str, list[str]] = {}
    for size in scenario.sizes:
        parameters, problem = _parameters(scenario, name, size)
        yield from [problem] if problem else []
        names[size] = list(parameters)
    for parameters_of_size in names.values():
        yield from _networks_mistakes(scenario, variant, parameters_of_size)
    if variant.optimizer:
        yield from _optimizer_mistakes(variant.optimizer)
    for parameters_of_size in names.values():
        yield from _unmatched("rates", scenario.optimizer_of(name).rates, parameters_of_size)
    yield from _data_mistakes(scenario, name)


def _tuples_mistakes(variant: Variant) -> Iterator[str]:
    """Yield empty networks and flows, and strings that should be a tuple of one name.

    The comma of such a tuple is easily forgotten.
    """
    fields = {"networks": variant.networks, "frozen": variant.frozen}
    fields |= {"exact_zero": variant.exact_zero}
    fields |= {f"flow[{loss!r}]": reached for loss, reached in variant.flow.items()}
    fields |= {f"estimated[{loss!r}]": names for loss, names in variant.estimated.items()}
    for field, names in fields.items():
        if isinstance(names, str):
            yield f"{field} is {names!r}, should be a tuple: ({names!r},)"
    if not variant.networks:
        yield "no networks; name them in order, such as networks=('net1', 'net2')"
    if not variant.flow:
        yield "no flow; say for each loss the networks it reaches: flow={'loss1': ('net1',)}"


def _parameters(scenario: Scenario, variant: str, size: str) -> tuple[Parameters, str | None]:
    """Return the parameters of a variant at one size, and a sentence about the mistake in them.

    The sentence is None if there is no mistake.
    """
    where = f"parameters() at size {size!r}"
    try:
        parameters = scenario.parameters_of(variant, size)
        tensors = {**parameters, **scenario.buffers_of(variant, size)}
    except Exception as error:
        return {}, f"{where} raises {_line_of(scenario, error)}"
    wrong = [name for name, one in tensors.items() if not isinstance(one, Parameter)]
    if wrong:
        kind = type(tensors[wrong[0]]).__name__
        return parameters, f"{where}: {wrong[0]} is a {kind}, should be a Parameter"
    return parameters, None if parameters else f"{where} returns none"


def _networks_mistakes(scenario: Scenario, variant: Variant, names: list[str]) -> Iterator[str]:
    """Yield names of networks and layers that fit no parameter, and parameters of no network.

    A variant in which nothing is left to train is a mistake too.

    Args:
        scenario: with the parameters whose gradient is 0.
        variant: with its networks, flow and frozen parts.
        names: of all parameters.
    """
    yield from _unmatched("networks", variant.networks, names)
    for loss, reached in variant.flow.items():
        yield from _unmatched(f"flow[{loss!r}]", reached, names)
    yield from _unknown("estimated has", variant.estimated, variant.flow)
    for loss, reached in variant.estimated.items():
        yield from _unmatched(f"estimated[{loss!r}]", reached, names)
    yield from _unmatched("frozen", variant.frozen, names)
    yield from _unmatched("exact_zero", variant.exact_zero, names)
    yield from _unknown("zero_gradient has", scenario.zero_gradient, names)
    for name in names:
        if not matches(name, variant.networks):
            yield f"parameter {name!r} is in none of networks: {_list(variant.networks)}"
    reached_at_all = tuple(chain.from_iterable(variant.flow.values()))
    if all(matches(n, variant.frozen) or not matches(n, reached_at_all) for n in names):
        yield "nothing is left to train: what the losses reach is frozen"


def _data_mistakes(scenario: Scenario, variant: str) -> Iterator[str]:
    """Yield mistakes in the data of a variant, and exceptions that drawing it raises.

    The data is drawn at the first check size; at the others only the arguments are checked.
    """
    for size in scenario.sizes:
        try:
            inspect.signature(scenario.data).bind(None, **scenario.drawing_arguments(variant, size))
        except TypeError as error:
            yield f"data() at size {size!r}: {errors.one_line(error)}"
    size = scenario.check_sizes[0]
    try:
        data = scenario.data(np.random.default_rng(0), **scenario.drawing_arguments(variant, size))
        yield from _arrays_mistakes(data)
        yield from _layouts_mistakes(scenario, variant, data)
        scenario.draw(variant, size)
    except Exception as error:
        yield f"drawing weights and data at size {size!r} raises {_line_of(scenario, error)}"


def _arrays_mistakes(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield data that are no NumPy arrays, and the lack of an input ``x``."""
    for name, array in data.items():
        if not isinstance(array, np.ndarray):
            yield f"data() returns {name!r} as a {type(array).__name__}, should be a NumPy array"
    if "x" not in data:
        yield f"data() returns {_list(data)}; the first network's input must be there as 'x'"


def _layouts_mistakes(scenario: Scenario, variant: str, data: Mapping[str, Any]) -> Iterator[str]:
    """Yield layouts that do not exist, of entries that do not exist, and images without a space.

    Args:
        scenario: with its layouts.
        variant: whose data this is.
        data: drawn at the first check size.
    """
    networks = [net for one in scenario.variants.values() for net in one.networks]
    yield from _unknown("layouts names", scenario.layouts, [*data, *dict.fromkeys(networks)])
    for name, layout in scenario.layouts.items():
        yield from _unknown(f"layouts[{name!r}] is", [layout], LAYOUTS)
        if layout == IMAGE and name in data and data[name].ndim < 3:
            yield (
                f"layouts[{name!r}] is {IMAGE!r}, which has [batch, channels, *space], but data() "
                f"returns shape {list(data[name].shape)}"
            )


def _line_of(scenario: Scenario, error: Exception) -> str:
    """Return an exception of the user's code as one line that names file and line number."""
    return errors.format_error(error, scenario.file or Path(f"{scenario.family}.py"))


def _unmatched(field: str, prefixes: Iterable[str], names: Iterable[str]) -> Iterator[str]:
    """Yield a mistake for each name of a network or layer under which there is no parameter.

    Args:
        field: of the spec, in which the names stand.
        prefixes: the names.
        names: of all parameters.
    """
    for prefix in prefixes:
        if not any(matches(name, (prefix,)) for name in names):
            near = _near_misses(str(prefix), names)
            meant = f"did you mean {' or '.join(map(repr, near))}? " if near else ""
            yield (
                f"{field} names {prefix!r}, which no parameter has; {meant}there are {_list(names)}"
            )


def _near_misses(prefix: str, names: Iterable[str]) -> list[str]:
    """Return the networks, layers and parameters whose names are most like this one."""
    every = dict.fromkeys(
        ".".join(parts[:count])
        for parts in (name.split(".") for name in names)
        for count in range(1, len(parts) + 1)
    )
    inside = [name for name in every if name.endswith(f".{prefix}")]
    return inside[:3] or difflib.get_close_matches(prefix, every, n=2)


def _unknown(begin: str, names: Iterable[str], allowed: Iterable[str]) -> Iterator[str]:
    """Yield a mistake, which starts with ``begin``, for each name that is not allowed."""
    for name in names:
        if name not in allowed:
            yield f"{begin} {name!r}; allowed: {_list(allowed)}"


def _list(names: Iterable[Any] | Mapping[str, Any]) -> str:
    """Return names separated by commas, the first twelve of them."""
    listed = [str(name) for name in names]
    return ", ".join(listed if len(listed) <= 12 else [*listed[:12], "…"])
