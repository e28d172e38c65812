"""Say how hypothesis searches for damage: the same damage each time, and more of it at scale.

It is imported when a search begins: to import it takes most of a second, which each process that
collects the tests would pay.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hypothesis import settings
    from hypothesis.strategies import SearchStrategy

    from tests.helpers.damage.files import Damage

EXAMPLES = int(os.environ.get("CASCADE_BENCH_FUZZ", "0"))


def searched(
    examples: int, *drawn: Callable[[], SearchStrategy[Any]]
) -> Callable[[Callable[..., None]], Callable[[], None]]:
    """Return a decorator that makes a test of a check, which it calls with drawn arguments.

    Args:
        examples: how many times the check is called, unless the search is at scale.
        drawn: for each argument of the check a function that returns where it is drawn from.
    """

    def decorate(check: Callable[..., None]) -> Callable[[], None]:
        def search() -> None:
            from hypothesis import given

            settings_of(examples)(given(*(make() for make in drawn))(check))()

        # not by functools.wraps, which would have pytest look for fixtures of the check's arguments
        search.__name__, search.__doc__ = check.__name__, check.__doc__
        search.__module__, search.__qualname__ = check.__module__, check.__qualname__
        return search

    return decorate


def settings_of(examples: int) -> settings:
    """Return how to search: so many examples, the same ones each time unless at scale."""
    from hypothesis import HealthCheck, Phase, settings

    return settings(
        max_examples=EXAMPLES or examples,
        derandomize=not EXAMPLES,
        deadline=None,  # `Readers` bounds the time of each command
        phases=[Phase.generate] if EXAMPLES else [Phase.generate, Phase.shrink],
        database=None,
        suppress_health_check=list(HealthCheck),
    )


def booleans() -> SearchStrategy[bool]:
    """Return False and True, to draw from."""
    from hypothesis import strategies as st

    return st.booleans()


def lists_of_damage(kinds: list[str]) -> SearchStrategy[list[Damage]]:
    """Return lists of one to three `Damage` of these kinds, at any place, to draw from."""
    from hypothesis import strategies as st

    from tests.helpers.damage.files import Damage

    places = st.integers(0, 2**16)
    one = st.builds(Damage, st.sampled_from(kinds), places, places)
    return st.lists(one, min_size=1, max_size=3)
