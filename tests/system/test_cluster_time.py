"""The wall time of a real run that two Dask workers measure, pinned to a core each."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.harness.launches.affinity import available_cores
from tests.helpers.pinned_sessions import measured_by_workers

pytest.importorskip("distributed", reason="the extra `cluster` is not installed")
pytestmark = [pytest.mark.slow, pytest.mark.serial, pytest.mark.quiet]
# every problem of two losses in two sizes: most of a unit is what it costs to begin it
ARGUMENTS = [
    "--kind=backward", "--framework=torch", "--size=seed,small", "--phase=gradient",
    "--strategy=summed,separate_retained", "--launches=2", "--cell-seconds=0.1",
]  # fmt: skip
LEAST_UNITS = 40
MOST = 0.6  # of the time of one worker


@pytest.mark.skipif(len(available_cores()) < 2, reason="two workers need a core each")
def test_two_pinned_workers_take_at_most_six_tenths_of_the_wall_time_of_one(tmp_path: Path) -> None:
    """Every second counts, from the command to its end: what begins and ends a session, too."""
    first, second, *_ = available_cores()
    one, alone = measured_by_workers(tmp_path / "one", [first], ARGUMENTS)
    two, together = measured_by_workers(tmp_path / "two", [first, second], ARGUMENTS)
    nodes = two.settings["cluster"]["nodes"]
    units = [unit for node in nodes.values() for unit in node["units"]]
    assert len(units) == len(set(units)) >= LEAST_UNITS
    assert sorted(units) == sorted(one.settings["cluster"]["nodes"]["n1"]["units"])
    assert len(nodes) == 2
    print(f"{len(units)} units: {together:.1f} s by two workers, {alone:.1f} s by one")
    assert together <= MOST * alone, (together, alone, one.settings, two.settings)
