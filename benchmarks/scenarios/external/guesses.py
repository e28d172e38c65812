"""Say which data of a user's scenario reaches JAX in a layout that nobody has declared."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain
from typing import Any

from benchmarks.scenarios import Scenario
from benchmarks.scenarios.layouts import LAYOUTS


def layout_guesses(scenarios: Iterable[Scenario]) -> list[str]:
    """Return a line for each scenario whose data is turned for JAX by a guess.

    A spec from before `Scenario.layouts` declares none; what has more than two axes is then taken
    for an image, as it always was.

    Args:
        scenarios: loaded from files of the user's.
    """
    return list(chain.from_iterable(map(_guesses, scenarios)))


def _guesses(scenario: Scenario) -> list[str]:
    """Return the line about one scenario; none where JAX has no part, or all is declared."""
    if scenario.file is None or scenario.lacks("jax"):
        return []
    guessed: dict[str, Any] = {}
    for variant in scenario.variants:
        _, data = scenario.draw(variant, scenario.check_sizes[0])
        guessed |= {
            name: list(array.shape)
            for name, array in data.items()
            if array.ndim > 2 and name not in scenario.layouts
        }
    if not guessed:
        return []
    entries = ", ".join(f"{name} {shape}" for name, shape in guessed.items())
    first = next(iter(guessed))
    others = " or ".join(f"'{name}'" for name in LAYOUTS if name != "image")
    return [
        f"{scenario.file.name}: {scenario.name}: no layout is declared for {entries}: JAX gets "
        "the second axis last, as of an image with its channels; declare "
        f"layouts={{'{first}': 'image'}} if that is right, {others} if it is not"
    ]
