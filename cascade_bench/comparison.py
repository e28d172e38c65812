"""Give access to the result of `compare`: a table as text, and every number by name.

A *way* is one implementation that is compared: a *strategy* (how to write the backward pass) or a
*recipe* (how to freeze a part). A *phase* is the part of training that is timed.
"""

from __future__ import annotations

import difflib
import html
import json
import math
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cascade_bench import suite

if TYPE_CHECKING:
    import altair
    import pandas

OUTPUT = "benchmarks.commands.own_code_output"  # the suite's module that draws tables and pages
USUAL_PHASE = {"backward": "backward", "freeze": "step"}
WIDTH = 100  # columns of the table
HEADINGS = ("framework", "way", "phase", "time", "ratio [interval]", "predicted", "verdict")


@dataclass(frozen=True)
class Interval:
    """Hold an estimate with its interval; times are in seconds.

    With too few processes launched there is no interval: ``low`` is then 0 and ``high`` infinite,
    so that ``low > 1.1`` or ``high < 2`` fails and does not pass by accident.
    """

    estimate: float
    low: float
    high: float


@dataclass(frozen=True)
class Ratio(Interval):
    """Hold the time of a way divided by that of its baseline, with its interval.

    Attributes:
        baseline: the way at ratio 1, such as ``summed``.
        verdict: ``slower``, ``faster``, ``equal`` or ``not told``.
        confidence: how often an interval made so holds the true ratio, such as 0.95.
        launches: processes that both ways were timed in.
    """

    baseline: str
    verdict: str
    confidence: float
    launches: int


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
        pair = self.pair
        if pair is None or pair["problem"]:
            why = pair["problem"] if pair else "one framework was measured"
            raise ValueError(f"JAX cannot be compared with torch: {why}")
        rows = {row["phase"]: row for row in pair["rows"] if row["way"] == way}
        if not rows or phase not in (None, *rows):
            timed = [f"{row['way']} in phase {row['phase']}" for row in pair["rows"]]
            asked = f"{way!r}" + (f" in phase {phase!r}" if phase else "")
            listed = ", ".join(timed) or "nothing"
            raise ValueError(f"{asked} was not timed in both frameworks; timed in both: {listed}")
        usual = USUAL_PHASE.get(next(iter(rows.values()))["kind"], "")
        row = rows[phase] if phase else rows.get(usual, next(iter(rows.values())))
        ratio = row["ratio"]
        return Ratio(
            **_bounds(ratio),
            baseline=f"torch's {way}",
            verdict=row["verdict"],
            confidence=ratio["confidence"],
            launches=ratio["launches"],
        )

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
        row = self._row(way, phase, framework)
        ratio = self._figure(row, "ratio")
        return Ratio(
            **_bounds(ratio),
            baseline=row["baseline"],
            verdict=row.get("verdict") or "not told",
            confidence=ratio["confidence"],
            launches=ratio["launches"],
        )

    def seconds(
        self, way: str, phase: str | None = None, *, framework: str | None = None
    ) -> Interval:
        """Return the time of one call of a way; arguments and errors as in `ratio`."""
        seconds = self._figure(self._row(way, phase, framework), "seconds")
        return Interval(**_bounds(seconds))

    def _row(self, way: str, phase: str | None, framework: str | None) -> dict[str, Any]:
        """Return the row of a way, see `ratio`."""
        rows = [row for row in self.rows if framework in (None, row["framework"])]
        if not rows:
            raise ValueError(f"nothing was measured of {framework or 'this case'}")
        ways = list(dict.fromkeys(row["way"] for row in rows))
        if way not in ways:
            near = difflib.get_close_matches(way, ways, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"measured: {', '.join(ways)}"
            raise ValueError(f"{way!r} was not measured; {hint}")
        rows = [row for row in rows if row["way"] == way]
        frameworks = list(dict.fromkeys(row["framework"] for row in rows))
        if len(frameworks) > 1:
            raise ValueError(f"{way!r} was measured in {' and '.join(frameworks)}; give framework=")
        phases = {row["phase"]: row for row in rows}
        if phase is None:
            return phases.get(USUAL_PHASE.get(rows[0]["kind"], ""), rows[0])
        if phase not in phases:
            raise ValueError(f"{way!r} has no phase {phase!r}; measured: {', '.join(phases)}")
        return phases[phase]

    @staticmethod
    def _figure(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
        """Return a figure of a row.

        Raises:
            ValueError: the row has none; the text says what became of it.
        """
        if row.get(name) is None:
            told = [row.get("outcome"), row.get("equivalence"), row.get("why")]
            because = ": ".join(str(one) for one in told if one and one != "pass")
            raise ValueError(f"{row['way']!r} in phase {row['phase']} has no {name}: {because}")
        figure: Mapping[str, Any] = row[name]
        return figure

    def to_pandas(self) -> pandas.DataFrame:
        """Return one row for each framework, way and phase, with plain columns.

        Times are in seconds; an interval has the columns ``…_low`` and ``…_high``.
        """
        import pandas

        return pandas.DataFrame([_flat(row) for row in self.rows])

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
        """The table, drawn once."""
        return self.table()

    def __str__(self) -> str:
        return self._text

    def __repr__(self) -> str:
        name = self.document.get("case", {}).get("name", "")
        return f"<Comparison of {name}: {len(self.rows)} rows; print() shows them>"

    def _repr_html_(self) -> str:
        """Return the table for a notebook; every text of the case is escaped."""
        head = "".join(f"<th>{heading}</th>" for heading in HEADINGS)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in _cells(row)) + "</tr>"
            for row in self.rows
        )
        answer = html.escape(self.answer)
        table = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        return f"<p>{answer}</p>{table}{self._pair_html()}"

    def _pair_html(self) -> str:
        """Return the ratios of the two frameworks for a notebook; empty where there are none."""
        rows = (self.pair or {}).get("rows") or ()
        lines = [
            f"{row['way']} in phase {row['phase']}: {_ratio_text(row['ratio'])}, {row['verdict']}"
            for row in rows
        ]
        items = "".join(f"<li>{html.escape(line)}</li>" for line in lines)
        return f"<p>JAX ÷ torch</p><ul>{items}</ul>" if items else ""


def _bounds(figure: Mapping[str, Any]) -> dict[str, float]:
    """Return estimate, low and high of a figure; bounds that it lacks are the widest there are."""
    low, high = figure.get("low"), figure.get("high")
    return {
        "estimate": figure["estimate"],
        "low": 0.0 if low is None else low,
        "high": math.inf if high is None else high,
    }


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row with a column for each bound of its intervals."""
    return dict(_columns(row))


def _columns(row: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Yield name and value of each column of a row."""
    for name, value in row.items():
        if name in ("seconds", "ratio"):
            value = value or {}
            yield name, value.get("estimate")
            yield f"{name}_low", value.get("low")
            yield f"{name}_high", value.get("high")
        elif not isinstance(value, dict | list):
            yield name, value


def _cells(row: Mapping[str, Any]) -> list[str]:
    """Return the texts of a row in the order of `HEADINGS`; a way without a time shows why."""
    ratio, seconds, predicted = row.get("ratio"), row.get("seconds"), row.get("predicted_ratio")
    reason = row.get("why") or row.get("equivalence") or ""
    return [
        str(row["framework"]),
        str(row["way"]),
        str(row["phase"]),
        seconds_text(seconds["estimate"]) if seconds else str(row.get("outcome") or ""),
        _ratio_text(ratio) if ratio else "",
        f"{predicted:.2f}" if predicted else "",
        str(row.get("verdict") or "") if seconds else str(reason),
    ]


def _ratio_text(ratio: Mapping[str, Any]) -> str:
    """Return a ratio with its interval, if it has one."""
    if ratio.get("low") is None or ratio.get("high") is None:
        return f"{ratio['estimate']:.2f}"
    return f"{ratio['estimate']:.2f} [{ratio['low']:.2f}, {ratio['high']:.2f}]"


def seconds_text(seconds: float) -> str:
    """Return a time with three digits, in the unit that suits it."""
    for factor, unit in ((1.0, "s"), (1e3, "ms"), (1e6, "µs")):
        if seconds * factor >= 1.0:
            return f"{seconds * factor:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"
