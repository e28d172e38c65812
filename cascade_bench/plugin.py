"""Give a user's own tests the fixture ``cascade``; without its use nothing changes.

pytest imports this module at the start of every session, so it imports nothing else of this
package: `CascadeFixture` does, when a test calls it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from cascade_bench.comparison import Comparison

PARALLEL = "PYTEST_XDIST_WORKER"


class CascadeFixture:
    """Compare, and assert what a training step may change; see `cascade_bench`."""

    def compare(self, make: Callable[[], Any] | str, **options: Any) -> Comparison:
        """Return what came out of `cascade_bench.compare`; the test fails where it cannot run.

        Args:
            make: as in `cascade_bench.compare`, as are the options.
        """
        from cascade_bench.client import compare
        from cascade_bench.suite import SuiteError
        from cascade_bench.target import CaseError

        if os.environ.get(PARALLEL):
            pytest.fail(
                "cascade.compare measures time, and under pytest-xdist other tests run beside it; "
                "run this test without -n, such as: pytest -p no:xdist FILE",
                pytrace=False,
            )
        try:
            return compare(make, **options)
        except (CaseError, SuiteError) as error:
            pytest.fail(str(error), pytrace=False)

    def assert_frozen(self, step: Callable[..., Any], frozen: Any, **options: Any) -> None:
        """Fail unless what is frozen keeps still, bit by bit; see `cascade_bench.assert_frozen`."""
        from cascade_bench.frozen_check import assert_frozen

        assert_frozen(step, frozen, **options)

    def assert_flow(
        self,
        make: Callable[[], Any] | str,
        expected: Mapping[str, Mapping[str, str]],
        **options: Any,
    ) -> None:
        """Fail unless gradients arrive where they should; see `cascade_bench.assert_flow`."""
        from cascade_bench.flow_check import assert_flow

        assert_flow(make, expected, **options)


@pytest.fixture
def cascade() -> CascadeFixture:
    """Compare the ways to run the backward passes of networks: ``cascade.compare(make)``."""
    return CascadeFixture()
