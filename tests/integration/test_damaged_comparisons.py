"""Damage saved comparisons of two versions in every way that is likely, and show what is left.

`CASCADE_BENCH_FUZZ=5000 python -m pytest tests/integration/test_damaged_comparisons.py -k damage`
reads so many, others each time (docs/faults.md).
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from functools import cache, partial
from pathlib import Path
from typing import Any

import pytest

from benchmarks.cli import main
from results.regression import validation
from results.regression.document import analysis
from results.terminal.regression_table import document_json
from tests.helpers.damage.files import CHANGES, Damage, inflict
from tests.helpers.damage.readers import Readers
from tests.helpers.damage.searching import booleans, lists_of_damage, searched
from tests.helpers.factories.comparisons import comparison

Out = pytest.CaptureFixture[str]
OF_ONE_FILE = ("flip", "insert", "cut", "become")
DAMAGES = partial(lists_of_damage, [*OF_ONE_FILE, *(4 * (*CHANGES, "replace", "replace"))])


@cache
def sound() -> str:
    """Return a small sound comparison, with every key that one may have, as JSON."""
    document = comparison({0: 0.05}, pairs=4, taken=(3, 4), frameworks=("torch",))
    document["design"] |= {"looks": [3, 4], "quantile": 25.0, "dropped": 1, "turn": 0.02}
    document["cells"][4] |= {"state": "failed", "why": "no memory", "seconds": {}}
    document["cells"][3]["left_after"] = 3
    for rows in document["cells"][3]["seconds"].values():
        del rows[3:]
    for entry in document["cells"][:3]:
        for rows in entry["seconds"].values():
            rows[3][2] = None
    document["design"] |= {"control_pairs": 3}
    document["cells"][0] |= {
        "counts": {"flops": [1e6, 2e6], "operations": [60, 62], "compile_seconds": [0.5, 2.0]},
        "operations": {"aten.mm.default": [5, 7]},
        "not_repeated": ["held_bytes"],
    }
    promise = {"pairs": 3, "pairs_in_all": 9, "cells": 4, "power": 0.8, "slowdown": 0.05,
               "low": 0.04, "high": None, "pairs_for_3_percent": 20.5,
               "seconds_for_3_percent": None}  # fmt: skip
    more = {
        "broke_off": "workers start no more",
        "counts_only": False,
        "uncounted": "1 of 5 cells could not be counted: no memory",
        "notes": ["own.py switched a switch on"],
        "promises": [promise],
        "pair_seconds": [20.0, 21.0, 19.0, 20.0],
        "seconds_by_part": {"starting": 30.0, "timing": 50.0},
        "confirm_seconds": 60.0,
        "confirming": {"cells": [document["cells"][0]["cell"]], "frameworks": [], "pairs": 3},
    }
    return json.dumps(document | more)


def shown(folder: Path, document: Any, *options: str) -> int:
    """Write a document to a file and show it; return the exit code."""
    path = folder / "comparison.json"
    path.write_text(json.dumps(document))
    return main(["show", str(path), *options])


def read_damaged(damages: list[Damage], *, written: bool) -> None:
    """Damage a comparison, saved or written by ``--json``, and read it by what reads one."""
    with tempfile.TemporaryDirectory() as name:
        document = json.loads(sound())
        path = Path(name) / "comparison.json"
        path.write_text(
            json.dumps(document_json(document, analysis(document)) if written else document)
        )
        inflict(path, damages)
        readers = Readers(Path(name), path, path)
        code = readers.command("show", str(path))
        assert code in (0, 2)
        assert readers.command("show", str(path), "--json") == code
        assert readers.command("regress", "--stored", str(path), f"--results={name}") == 2


def test_a_sound_comparison_is_shown_as_it_was_saved_and_as_it_was_written(
    tmp_path: Path, capsys: Out
) -> None:
    document = json.loads(sound())
    assert validation.document_problem(document) is None
    assert shown(tmp_path, document) == 0
    saved = capsys.readouterr().out
    assert "failed: torch autoencoder small eager gradient summed: no memory" in saved
    assert shown(tmp_path, document, "--json") == 0
    again = capsys.readouterr().out
    assert json.loads(again)["comparison"] == document
    assert shown(tmp_path, json.loads(again)) == 0
    assert capsys.readouterr().out == saved


@searched(25, DAMAGES, booleans)
def test_any_damage_is_a_line_or_nothing(damages: list[Damage], written: bool) -> None:
    read_damaged(damages, written=written)


@pytest.mark.slow
@searched(400, DAMAGES, booleans)
def test_much_more_damage_is_a_line_or_nothing(damages: list[Damage], written: bool) -> None:
    read_damaged(damages, written=written)


def changed(*place: Any, to: Any) -> Callable[[Any], None]:
    """Return a change of the value at a place of a document."""

    def change(document: Any) -> None:
        for key in place[:-1]:
            document = document[key]
        document[place[-1]] = to

    return change


CELL, TIMES = ("cells", 0), ("cells", 0, "seconds", "wall")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (changed(*TIMES, 0, 1, to=-1.0), "cells[0].seconds.wall[0][1] is -1.0; allowed: a number"),
        (changed(*TIMES, 0, to=[1e-3]), "cells[0].seconds.wall[0] has 1 times; allowed: 3"),
        (changed(*TIMES, to=[]), "cells[0].seconds has {'wall': 0, 'cpu': 4}; allowed: wall"),
        (changed(*CELL, "seconds", to={"cpu": []}), "cells[0].seconds has {'cpu': 0}"),
        (changed(*CELL, "seconds", to={"wall": [[1e-3] * 3]}), "times of different launch pairs"),
        (changed(*CELL, "state", to="fine"), 'cells[0].state is "fine"; allowed: one of ok, wrong'),
        (changed(*CELL, "cell", "size", to="\x1b[2J"), "cells[0].cell.size is"),
        (changed("cells", 1, to=json.loads(sound())["cells"][0]), "two entries are of one cell"),
        (changed(*TIMES, 0, 1, to=None), "null for base again alone"),
        (changed(*TIMES, 1, 2, to=None), "null for base again alone"),
        (changed(*TIMES, to=[[1e-3, 1e-3, None]] * 4), "has 0 launch pairs with base again"),
        (changed("design", "shares", to=[0.9, 0.5]), "allowed: at most 20 numbers, none below"),
        (
            changed("cells", 3, "left_after", to=2),
            "a cell left after 2 launch pairs and has times of 3",
        ),
        (
            changed("cells", 3, "left_after", to=True),
            "cells[3].left_after is true; allowed: an int",
        ),
        (changed("promises", 0, "slowdown", to="much"), 'promises[0].slowdown is "much"'),
        (changed("design", "taken", to=[3, 5]), "design.taken is [3, 5], and there are 4 launch"),
        (changed("design", "taken", to=[4, 3]), "allowed: at most 20 numbers, each above the last"),
        (changed("design", "shares", to=[0.5]), "design has 2 looks taken and 1 shares"),
        (changed("design", "looks", to=[2, 10**6]), "design.looks[1] is 1000000; allowed: an int"),
        (changed("design", "alpha", to="low"), 'design.alpha is "low"; allowed: a number between'),
        (changed("sides", to={}), "sides lacks base, head"),
        (changed("sides", "third", to=1), "sides has 'third'; allowed: base and head"),
        (changed("pairs", to=True), "pairs is true; allowed: an integer from 0 to 200"),
        (changed("notes", to=["a", 1]), "notes[1] is 1; allowed: a text"),
        (changed("schema", to=2), "was written by a newer version (schema 2; this one reads up"),
        (changed("schema", to=None), "schema is null"),
        (changed("how", to="x"), "how is"),
    ],
)
def test_what_a_key_may_not_hold_is_said_with_its_place(
    tmp_path: Path, capsys: Out, change: Callable[[Any], None], said: str
) -> None:
    document = json.loads(sound())
    change(document)
    assert shown(tmp_path, document) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith(f"cascade-bench: {tmp_path}/comparison.json ")
    assert said in line


def test_a_missing_key_is_named(tmp_path: Path, capsys: Out) -> None:
    for key in json.loads(sound()):
        document = json.loads(sound())
        del document[key]
        code = shown(tmp_path, document)
        (line,) = capsys.readouterr().err.splitlines() or [""]
        assert (code, key in line) == ((0, False) if key in validation.OPTIONAL else (2, True)), (
            key,
            line,
        )


def test_texts_of_a_comparison_are_cleaned(tmp_path: Path, capsys: Out) -> None:
    document = json.loads(sound())
    document["cells"][4]["why"] = "no\x1b[2Jmemory\nleft"
    assert shown(tmp_path, document) == 0
    out = capsys.readouterr().out
    assert "\x1b" not in out
    assert "no [2Jmemory left" in out
    # a reader that prints a text as it is finds it clean as well
    loaded = validation.load(tmp_path / "comparison.json")
    assert loaded["cells"][4]["why"] == "no [2Jmemory left"


def test_conclusions_on_stored_runs_and_other_mistakes_are_one_line(
    tmp_path: Path, capsys: Out
) -> None:
    conclusions = {"findings": [], "comparison": {"sides": {}, "how": "", "ids": ["a", "b"]}}
    assert shown(tmp_path, conclusions) == 2
    assert "cascade-bench regress --stored BASE HEAD" in capsys.readouterr().err
    assert shown(tmp_path, json.loads(sound()), "--times") == 2
    assert "--times is of a run; leave it out" in capsys.readouterr().err
    path = tmp_path / "comparison.json"
    assert main(["report", str(path)]) == 2
    assert "is a comparison of two versions, and no run; see it with" in capsys.readouterr().err
    nested: Any = []
    for _ in range(30):
        nested = [nested]
    assert shown(tmp_path, json.loads(sound()) | {"later": nested}) == 2
    assert "nested too deeply for a comparison" in capsys.readouterr().err
