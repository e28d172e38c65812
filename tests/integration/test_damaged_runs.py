"""Damage real runs in every way that is likely, and read them by every command that reads runs.

`CASCADE_BENCH_FUZZ=5000 python -m pytest tests/integration/test_damaged_runs.py -k many_more` reads
so many damaged runs, others each time (docs/faults.md).
"""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from functools import cache, partial
from pathlib import Path

import pytest

from benchmarks.paths import ROOT
from results.records.record import Run, sample_key
from results.records.samples import samples_path
from results.records.storage import find_runs
from tests.helpers.damage.files import CHANGES, FILE_CHANGES, Damage, inflict
from tests.helpers.damage.readers import Readers, save_pair, without_pictures
from tests.helpers.damage.searching import lists_of_damage, searched
from tests.helpers.factories.report_runs import LATER, whole_run

REFERENCE = min(find_runs(ROOT / "results" / "reference" / "runs"), key=lambda p: p.stat().st_size)
# four of five in the values of the JSON, where there is most to get wrong
DAMAGES = partial(lists_of_damage, [*FILE_CHANGES, *(4 * (*CHANGES, "replace", "replace"))])


@cache
def sound_files(reference: bool) -> Path:
    """Return a folder with a sound run and one to damage, which is never changed itself."""
    folder = Path(tempfile.mkdtemp(prefix="damaged-runs-")) / "runs"
    run = _few_cells(whole_run(variants=("n2",), sizes=("seed",)))
    code = {"code": "0123456789ab", "product_seconds": {"torch cpu float32": [1e-4]}}
    more = {"spent_seconds": {"timing": 3.0}, "stopped": {}, "arguments": ["benchmarks"]}
    run.settings.update(code | more)
    other = _few_cells(whole_run(LATER, variants=("n2",), sizes=("seed",), seed=1))
    other.settings.update(code | more)
    save_pair(folder, run, other)
    if reference:
        damaged = folder / "box-1" / f"{LATER}.json"
        shutil.copy(REFERENCE, damaged)
        shutil.copy(samples_path(REFERENCE), samples_path(damaged))
        text = damaged.read_text().replace(REFERENCE.stem, LATER)
        damaged.write_text(text.replace(f'"{REFERENCE.parent.name}"', '"box-1"'))
    return folder


def _few_cells(run: Run) -> Run:
    """Return a run with two strategies and two recipes of each framework: fewer are read faster."""
    left_out = ("boundary_split", "optimizer_only", "chain_freeze")
    records = [record for record in run.records if record["strategy"] not in left_out]
    keys = set(map(sample_key, records))
    samples = {key: rows for key, rows in run.samples.items() if key in keys}
    return replace(run, records=records, samples=samples)


def read_damaged(damages: list[Damage], *, reference: bool = False) -> dict[str, int]:
    """Damage a copy of a run, read it by every reader, and return the exit codes."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        place = damages[0].place if damages else 0
        without_pictures(patch, validate=place % 16 == 0)
        folder = Path(name) / "runs"
        shutil.copytree(sound_files(reference), folder)
        sound, damaged = find_runs(folder)
        inflict(damaged, damages)
        return Readers(folder, sound, damaged).read_all(thorough=place % 4 == 0)


@pytest.mark.parametrize("reference", [False, True])
def test_a_sound_run_is_read_by_all(reference: bool) -> None:
    codes = read_damaged([], reference=reference)
    assert [codes[name] for name in ("history", "show", "report")] == [0] * 3


@searched(25, DAMAGES)
def test_any_damage_is_a_line_or_nothing(damages: list[Damage]) -> None:
    read_damaged(damages)


@pytest.mark.slow
@searched(100, DAMAGES)
def test_any_damage_of_a_run_of_the_reference_is_a_line_or_nothing(damages: list[Damage]) -> None:
    read_damaged(damages, reference=True)


@pytest.mark.slow
@searched(400, DAMAGES)
def test_many_more_ways_of_damage(damages: list[Damage]) -> None:
    read_damaged(damages)
