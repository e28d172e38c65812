"""Build the first screen about a user's own case: the answer, a picture of all ways, and facts."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from results.formatting import seconds_text, significant
from results.report import answer_charts
from results.report.drawing import Mark
from results.report.model import Answer, Chart, Fact, Panel, Question
from results.report.vocabulary import FRAMEWORK_NAMES
from results.statistics.verdict import EQUAL, FASTER, SLOWER
from results.ways import way_title

Data = Mapping[str, Any]
QUESTIONS = {"backward": "Backward passes of several losses", "freeze": "Freezing a part"}
LONGEST = 160  # letters of a headline; what is longer stands below it
KEY = (
    "Large dots: the time of each way, with its 95 % interval; in colour: what to write. Only ways "
    "with right gradients are timed."
)


def answer(document: Data) -> Answer:
    """Return the first screen about a case.

    Args:
        document: see `results.own_code`; it is read as plain data.
    """
    frameworks: Sequence[Data] = document.get("frameworks") or ()
    headline = str(document.get("answer") or "Nothing was measured.")
    first, more = (headline, "") if len(headline) <= LONGEST else _split(headline)
    domain = answer_charts.domain_of(
        row["ratio"] for part in frameworks for row in part.get("rows") or () if row.get("ratio")
    )
    questions = [_question(kind, frameworks, domain) for kind in QUESTIONS]
    return Answer(
        first,
        more,
        about(document),
        [question for question in questions if question.panels],
        _facts(document, frameworks),
        key=KEY if any(question.panels for question in questions) else "",
    )


def _split(headline: str) -> tuple[str, str]:
    """Return the first sentence of a long headline, and the rest."""
    first, stop, rest = headline.partition(". ")
    return first + stop.strip(), rest


def about(document: Data) -> str:
    """Return in one line on what it was measured, when, and how long that took."""
    machine = document.get("machine") or {}
    setup = [str(machine[key]) for key in ("cpu", "gpu") if machine.get(key)]
    setup += [f"{machine['cores']} cores"] if machine.get("cores") else []
    setup += [version(part) for part in document.get("frameworks") or ()]
    seconds = document.get("seconds")
    took = f", in {seconds_text(seconds)}" if isinstance(seconds, int | float) else ""
    when = f"Measured {document.get('date', 'at a date that was not kept')}{took}."
    return ". ".join([", ".join(setup), when]) if setup else when


def version(part: Data) -> str:
    """Return a framework with its version, mode, device and type."""
    keys = ("framework", "version", "mode", "device", "dtype")
    return " ".join(str(part[key]) for key in keys if part.get(key))


def command(document: Data) -> str:
    """Return the command that measures the case again; empty for one from a notebook or a test."""
    name = str((document.get("case") or {}).get("name") or "")
    has_place = ":" in name or name.endswith(".py")
    return f"cascade-bench try {shlex.quote(name)}" if has_place else ""


def _question(kind: str, frameworks: Sequence[Data], domain: tuple[float, float]) -> Question:
    """Return the panels of one kind of ways, one for each framework that timed two of them.

    Args:
        domain: the ends of the axis, the same in every panel.
    """
    panels = []
    baseline = ""
    for part in frameworks:
        rows = _first_phase(kind, part)
        if sum(bool(row.get("ratio")) for row in rows):
            baseline = way_title(str(rows[0].get("baseline")))
            panels.append(_panel(kind, part, rows, domain))
    return Question(kind, QUESTIONS[kind], baseline, panels)


def _first_phase(kind: str, part: Data) -> list[Data]:
    """Return the timed rows of one kind, in the first phase in which there is a ratio."""
    timed = [
        row for row in part.get("rows") or () if row.get("kind") == kind and row.get("seconds")
    ]
    phase = next((row.get("phase") for row in timed if row.get("ratio")), None)
    return [row for row in timed if row.get("phase") == phase]


def recommended(kind: str, rows: Sequence[Data]) -> Data | None:
    """Return the row of the way to write: the fastest that is shown to be faster, or the baseline.

    A baseline of recipes freezes nothing, so it is no way to freeze a part: then there is none.
    """
    faster = [row for row in rows if row.get("verdict") == FASTER and row.get("ratio")]
    if faster:
        return min(faster, key=lambda row: float(row["ratio"]["estimate"]))
    baselines = [row for row in rows if row.get("way") == row.get("baseline")]
    return baselines[0] if baselines and kind == "backward" else None


def _panel(kind: str, part: Data, rows: Sequence[Data], domain: tuple[float, float]) -> Panel:
    """Return the panel of one kind of ways in one framework.

    Args:
        rows: of one phase, those with a time.
    """
    best = recommended(kind, rows)
    framework = str(part.get("framework"))
    figures = "; ".join(
        f"{way_title(str(row['way']))} {significant(row['ratio']['estimate'])} times"
        for row in rows
        if row.get("ratio")
    )
    marks = [_mark(row, best) for row in rows]
    baseline = way_title(str(rows[0].get("baseline")))
    text = f"Time relative to {baseline}: {figures}."
    chart = Chart(
        f"answer-{kind}-{framework}",
        f"{QUESTIONS[kind]}, {framework}",
        text,
        lambda: answer_charts.specification(marks, marks, framework, domain, text),
    )
    lines = str((best or {}).get("code") or "").splitlines()
    return Panel(
        FRAMEWORK_NAMES.get(framework, framework),
        way_title(str(best["way"])) if best else "",
        lines[0] + (" …" if len(lines) > 1 else "") if lines else "",
        text,
        chart,
    )


def _mark(row: Data, best: Data | None) -> Mark:
    """Return the mark of a row; the baseline stands at 1."""
    one = {"estimate": 1.0, "low": 1.0, "high": 1.0}
    ratio = one if row.get("way") == row.get("baseline") else row.get("ratio") or one
    return {
        "label": way_title(str(row["way"])),
        "best": row is best,
        "ratio": ratio["estimate"],
        "mean": ratio["estimate"],
        "low": ratio["low"],
        "high": ratio["high"],
    }


def _facts(document: Data, frameworks: Sequence[Data]) -> list[Fact]:
    """Return the strip of facts: gradients, comparisons, and how to measure it again."""
    rows = [row for part in frameworks for row in part.get("rows") or ()]
    facts = []
    if rows:
        right = sum(row.get("outcome") == "ok" for row in rows)
        wrong = sum(row.get("outcome") == "wrong_gradients" for row in rows)
        score = f"{right} of {right + wrong}"
        facts.append(
            Fact(score, "timed cells have right gradients", "bad" if wrong else "good", "proven")
        )
        verdicts = [row["verdict"] for row in rows if row.get("verdict")]
        decided = sum(verdict in (SLOWER, FASTER, EQUAL) for verdict in verdicts)
        text = "comparisons are decided: faster, slower or equal"
        facts.append(Fact(f"{decided} of {len(verdicts)}", text, section="rows"))
    again = command(document)
    return [*facts, *([Fact(again, "measures it again", "code")] if again else [])]
