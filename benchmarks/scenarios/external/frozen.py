"""Give what a spec freezes one form, whichever names of networks, layers or parameters it uses."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from benchmarks.scenarios import Scenario
from benchmarks.scenarios.spec import matches


def with_resolved_names(scenario: Scenario) -> Scenario:
    """Return the scenario with the frozen parts of each variant by their shortest names.

    A spec may freeze ``encoder``, or each of its layers, or each parameter: that is the same, and
    every reader of `Variant.frozen` must take it for the same. Everything that is frozen as a
    whole, at every size, gets its own name, and what lies inside it none.
    """
    variants = {
        name: replace(variant, frozen=shortest(variant.frozen, _names(scenario, name).values()))
        for name, variant in scenario.variants.items()
    }
    return replace(scenario, variants=variants)


def shortest(frozen: Sequence[str], names: Iterable[Sequence[str]]) -> tuple[str, ...]:
    """Return the fewest names of networks, layers and parameters that freeze the same.

    >>> shortest(("a.x", "a.y.weight", "b.x"), [["a.x.weight", "a.y.weight", "b.x.bias", "b.z"]])
    ('a', 'b.x')

    Args:
        frozen: names that freeze all parameters under them.
        names: the parameters of each size.
    """
    sizes = list(names)
    whole = dict.fromkeys(_widest(name, tuple(frozen), sizes) for name in frozen)
    return tuple(n for n in whole if not matches(n, tuple(other for other in whole if other != n)))


def _widest(name: str, frozen: tuple[str, ...], sizes: Sequence[Sequence[str]]) -> str:
    """Return the widest network or layer around a name all of which is frozen at every size."""
    around = name.rpartition(".")[0]
    inside = [n for names in sizes for n in names if matches(n, (around,))]
    if not around or not all(matches(n, frozen) for n in inside):
        return name
    return _widest(around, frozen, sizes)


def _names(scenario: Scenario, variant: str) -> Mapping[str, list[str]]:
    """Return size → the names of all parameters of a variant."""
    return {size: list(scenario.parameters_of(variant, size)) for size in scenario.sizes}
