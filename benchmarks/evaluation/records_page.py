"""Write ``docs/records.md``, every key that is saved, from its type (``make docs``)."""

from __future__ import annotations

from benchmarks.evaluation.declared_types import Declarations
from benchmarks.paths import ROOT
from results.own_code import schema as own_code
from results.records import record
from results.records import schema as records
from results.regression import schema as regression

PAGE = ROOT / "docs" / "records.md"
PARTS = {
    "A run": (
        Declarations((records,)),
        "`results/runs/MACHINE/RUN.json`, made by `pytest benchmarks --benchmark-only`; one record "
        "for each cell. The raw samples are in the `.npz` beside it.",
    ),
    "A comparison on your own code": (
        Declarations((own_code,), prefix="Own code: "),
        "`cascade-bench try CASE --json FILE`, and what is kept in `.cascade-bench/`.",
    ),
    "A comparison of two versions": (
        Declarations((regression,), prefix="Regression: "),
        "`cascade-bench regress BASE --json FILE`, and `results/regressions/`. The verdicts are "
        "computed from it anew each time it is shown.",
    ),
}
HEAD = """\
# Every key of what is saved

What a run, a comparison on your own code and a comparison of two versions hold, made from their
types in `results/records/schema.py`, `results/own_code/schema.py` and
`results/regression/schema.py` by `make docs`.

Times are in seconds and sizes in bytes. A figure that could not be had is null, never 0, and
`missing` says why. A key that is marked *optional* may be absent; new keys may come with any
version, and those that are here keep their meaning within a `schema`.

A record's `outcome` is one of {outcomes}; its `verdict` one of {verdicts}. The fields that name a
cell are {fields}.
"""


def page() -> str:
    """Return the page as Markdown."""
    head = HEAD.format(
        outcomes=_listed(record.OUTCOMES),
        verdicts=_listed(record.VERDICTS),
        fields=_listed(record.CELL_FIELDS),
    )
    parts = (f"\n## {t}\n\n{about}\n\n{d.sections()}\n" for t, (d, about) in PARTS.items())
    return head + "".join(parts)


def _listed(names: tuple[str, ...]) -> str:
    """Return names as code, separated by commas."""
    return ", ".join(f"`{name}`" for name in names)


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
