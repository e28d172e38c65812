"""Give access to the result of `compare`: a table as text, and every number by name.

A *way* is one implementation that is compared: a *strategy* (how to write the backward pass) or a
*recipe* (how to freeze a part). A *phase* is the part of training that is timed.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_bench import figures, row_text, suite
from cascade_bench.figures import Interval, Ratio

if TYPE_CHECKING:
    import altair
    import pandas

OUTPUT = "benchmarks.commands.own_code_output"  # the suite's module that draws tables and pages
WIDTH = 100  # columns of the table


class Comparison:
    """Hold the checked gradients and the times of a case; printing it shows a table.

    Attributes:
        document: everything as plain data, as kept on disk.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    @property
    def answer(self) -> str:
        """Return the result in one sentence; empty where nothing could be measured."""
        return str(self.document.get("answer") or "")

    @property
    def ok(self) -> bool:
        """Return whether every way that exists gave right gradients, and expectations held."""
        return self.document.get("exit_code") == 0

    @cached_property
    def rows(self) -> list[dict[str, Any]]:
        """Return one row for each framework, way and phase."""
        return [
            {"framework": part["framework"], **row}
            for part in self.document.get("frameworks", ())
            for row in part.get("rows", ())
        ]

    @property
    def flows(self) -> dict[str, dict[str, dict[str, str]]]:
        """Return which loss sends a gradient to which network, by framework.

        ``flows[framework][loss][network]`` is ``"value"``, ``"zero"`` (a gradient of exact
        zeros) or ``"absent"`` (no gradient).
        """
        return {part["framework"]: part["flow"] for part in self.document.get("frameworks", ())}

    @property
    def flow(self) -> dict[str, dict[str, str]]:
        """Return ``flow[loss][network]``, as `flows` has it for each framework.

        Raises:
            ValueError: the two frameworks of a case differ here; `flows` has both.
        """
        flows = list(self.flows.values())
        if any(flow != flows[0] for flow in flows):
            raise ValueError("the frameworks differ in their flow; see .flows")
        return flows[0] if flows else {}

    @property
    def pair(self) -> dict[str, Any] | None:
        """Return how the two frameworks of a file compare; None where one was measured.

        It holds how weights became each other's, how near losses and gradients are, ``problem``
        (what differs, or None), and a row for each way; see ``Pair`` in ``docs/records.md``.
        """
        pair: dict[str, Any] | None = self.document.get("pair")
        return pair

    def framework_ratio(self, way: str, phase: str | None = None) -> Ratio:
        """Return JAX's time of a way divided by torch's, of a file with both.

        Args:
            way: its name in torch, such as ``"summed"``.
            phase: as in `ratio`.

        Raises:
            ValueError: there is no such ratio; the text says why.
        """
        row = figures.find_pair_row(self.pair, way, phase)
        return figures.ratio_of(row["ratio"], f"torch's {way}", row["verdict"])

    def ratio(self, way: str, phase: str | None = None, *, framework: str | None = None) -> Ratio:
        """Return the time of a way divided by that of its baseline.

        Args:
            way: a strategy or a recipe, such as ``"separate_retained"``.
            phase: by default ``backward`` for a strategy and ``step`` for a recipe; where that
                was not measured, the first phase that was.
            framework: None where one was measured.

        Raises:
            ValueError: there is no such way or phase, or it has no ratio; the text says why.
        """
        row = figures.find_row(self.rows, way, phase, framework)
        verdict = row.get("verdict") or "not told"
        return figures.ratio_of(figures.figure_of(row, "ratio"), row["baseline"], verdict)

    def seconds(
        self, way: str, phase: str | None = None, *, framework: str | None = None
    ) -> Interval:
        """Return the time of one call of a way; arguments and errors as in `ratio`."""
        row = figures.find_row(self.rows, way, phase, framework)
        return figures.interval_of(figures.figure_of(row, "seconds"))

    def to_pandas(self) -> pandas.DataFrame:
        """Return one row for each framework, way and phase, with plain columns.

        Times are in seconds; an interval has the columns ``…_low`` and ``…_high``.
        """
        import pandas

        return pandas.DataFrame([row_text.flat_row(row) for row in self.rows])

    def plot(self) -> altair.Chart:
        """Return a chart: each way as a dot at its ratio, with its interval.

        Raises:
            SuiteError: a package that it needs is not installed; the text names it.
        """
        chart = self._drawn(["--chart"])
        try:
            import altair
        except ImportError:
            raise suite.SuiteError("plot() needs altair: pip install altair") from None
        return altair.Chart.from_dict(json.loads(chart))

    def report(self, path: str | Path) -> Path:
        """Write a self-contained HTML page that opens offline; return its path.

        Raises:
            SuiteError: it cannot be written, or a package that it needs is not installed.
        """
        self._drawn(["--report", str(Path(path).absolute())])
        return Path(path)

    def table(self, width: int = WIDTH, *, colour: bool = False) -> str:
        """Return the table as text, at most so many columns wide."""
        switch = ["--colour"] if colour else []
        return self._drawn(["--table", str(width), *switch]).rstrip("\n")

    def _drawn(self, arguments: list[str]) -> str:
        """Return what the suite prints about the document; see `benchmarks.commands`."""
        with tempfile.TemporaryDirectory(prefix="cascade-bench-") as private:
            file = Path(private) / "document.json"
            file.write_text(json.dumps(self.document), encoding="utf-8")
            return suite.output(OUTPUT, [str(file), *arguments])

    @cached_property
    def _text(self) -> str:
        """Return the table, which is drawn once."""
        return self.table()

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        name = self.document.get("case", {}).get("name", "")
        return f"<Comparison of {name}: {len(self.rows)} rows; print() shows them>"

    def _repr_html_(self) -> str:
        """Return the table for a notebook; every text of the case is escaped."""
        pair_rows = (self.pair or {}).get("rows") or ()
        return row_text.notebook_table(self.answer, self.rows, pair_rows)
