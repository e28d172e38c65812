"""Show a saved run in a terminal: ``cascade-bench show``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from results.estimates.counterparts import saves
from results.estimates.cross_framework import FrameworkRatio, framework_ratios
from results.formatting import NOTHING, bytes_text, ratio_text, time_text
from results.grouping import group_by, group_by_fields
from results.records.failures import COMMAND, failed, failures
from results.records.record import AnyRecord, Run, lower_precision
from results.terminal import ratios, run_summary
from results.terminal.ratios import TABLE_FIELDS, cells, problem, title, untimed
from results.terminal.show_head import ALARM, head
from results.terminal.show_recipes import recipes
from results.terminal.tables import (
    FIGURE,
    LINE,
    WIDTH,
    command_lines,
    plain_text,
    rendered,
    shorten,
    tables,
)

if TYPE_CHECKING:
    from rich.text import Text

_SHARED_FIELDS = ("size", "kind", "phase", "device", "dtype")  # of both cells of a pair
UNSTEADY = "~"
TIME_WIDTH = 7  # columns of a time, so that times stand right-aligned below each other


def text(
    run: Run,
    report: str,
    go_on: str | None = None,
    answer: str = "",
    width: int = WIDTH,
    *,
    colour: bool = False,
    times: bool = False,
) -> str:
    """Return the page on a run as a terminal shows it; no line is wider than the terminal.

    Args:
        report: the command that makes the whole report.
        go_on: the command that measures the cells that are not measured, or failed; None where it
            is unknown.
        answer: the main result in a sentence, with which the page begins.
        width: columns of the terminal.
        colour: whether to emit colour codes.
        times: whether to show the time of every cell too.
    """
    sections: list[Iterable[Any]] = [
        [plain_text(answer, "bold", LINE)] if answer else (),
        head(run),
        ratios.ratio_parts(run.records),
        _verdicts(run),
        _frameworks(run),
        recipes(run.records),
        _peak_memory(run.records),
        _times(run.records) if times else (),
        _failures(run.records, width),
        _notes(run.records),
        _commands(run, report, go_on, width),
    ]
    texts = (rendered(section, width, colour=colour) for section in sections)
    return "\n\n".join(filter(None, texts))


def _verdicts(run: Run) -> Iterator[Text]:
    """Yield lines with the number of verdicts and of groups that reached the required precision."""
    settings = run_summary.settings(run)
    lines = [ratios.verdict_counts(run.records, settings["margins"] or {}, settings["alpha"])]
    if settings["stopped"] and settings["precision"]:
        lines.append(ratios.stopping_summary(settings["stopped"], settings["precision"]))
    for line in filter(None, lines):
        yield plain_text(line, most=LINE)


def _frameworks(run: Run) -> Iterator[Any]:
    """Yield tables of jax's time over torch's, each after its title.

    The pairs in a table differ in problem and strategy only. Recipes that compute what the baseline
    does, and whose times say the same, are left to the report.
    """
    pairs = [pair for pair in framework_ratios(run.records, run.samples) if _is_shown(pair)]
    timed = {record["framework"] for record in run.records if record["outcome"] == "ok"}
    if pairs:
        level = f"{100 * pairs[0].ratio['confidence']:g} %"
        about = f"[{level} interval, unpaired: each has launches of its own]"
        line = f"torch against jax: jax's time over torch's {about}"
        yield plain_text(line, "bold", LINE)
    elif {"torch", "jax"} <= timed:
        reason = (
            "no cell was timed in both" if run.samples else "the samples are not beside the run"
        )
        yield plain_text(f"torch against jax: nothing to show, {reason}", "bold", LINE)
    for about, members in group_by(pairs, _pair_title).items():
        yield plain_text(about, most=LINE)
        yield from _other_names(members)
        yield from tables({_position(pair): _interval(pair) for pair in members})


def _is_shown(pair: FrameworkRatio) -> bool:
    """Return whether a pair is of strategies, of the baseline, or of recipes that save work."""
    is_baseline = pair.torch["strategy"] == pair.torch["baseline"]
    return pair.torch["kind"] != "freeze" or is_baseline or saves(pair.torch["strategy"])


def _pair_title(pair: FrameworkRatio) -> str:
    """Return the title of the table that a pair stands in: modes, size, kind and phase."""
    torch: AnyRecord = pair.torch
    size, kind, phase, device, dtype = (shorten(torch[name]) for name in _SHARED_FIELDS)
    modes = f"torch {shorten(pair.torch['mode'])}, jax {shorten(pair.jax['mode'])}"
    equal = "equal modes" if pair.equal_modes else "unequal modes"
    unusual = [] if (device, dtype) == ("cpu", "float32") else [f"{device} {dtype}"]
    unusual += lower_precision(torch)
    return " · ".join([f"{modes}: {equal}", size, f"{kind}, phase {phase}", *unusual])


def _position(pair: FrameworkRatio) -> tuple[tuple[str, ...], str]:
    """Return the place of a pair in a table: its row (scenario and variant) and its column."""
    return problem(pair.torch), shorten(pair.torch["strategy"])


def _other_names(pairs: Iterable[FrameworkRatio]) -> Iterator[Text]:
    """Yield a line for each recipe that has another name in JAX; the tables show torch's."""
    for torch, *jax in dict.fromkeys(pair.names for pair in pairs):
        if jax:
            yield plain_text(f"{shorten(torch)} is against jax's {shorten(jax[0])}", "dim", LINE)


def _interval(pair: FrameworkRatio) -> Text:
    """Return the ratio of a pair with its interval, dim where the interval holds 1."""
    low, high = pair.ratio["low"], pair.ratio["high"]
    holds_1 = low is not None and high is not None and low <= 1 <= high
    return plain_text(ratio_text(pair.ratio), "dim" if holds_1 else "", 2 * FIGURE)


def _peak_memory(records: Iterable[AnyRecord]) -> Iterator[Any]:
    """Yield tables of the peak memory of each cell that has it measured."""
    measured = [record for record in records if record["peak_bytes"] is not None]
    if measured:
        yield plain_text("peak memory", "bold")
    yield from _titled_tables(
        measured, lambda record: plain_text(bytes_text(record["peak_bytes"]), most=FIGURE)
    )


def _times(records: Iterable[AnyRecord]) -> Iterator[Any]:
    """Yield tables of the time of one call of each cell, with a heading and a legend.

    Cells that cannot exist are left out.
    """
    supported = [record for record in records if record["outcome"] != "unsupported"]
    if supported:
        yield plain_text("the time of one call [interval]", "bold")
    yield from _titled_tables(supported, _time)
    if any(record["steady"] is False for record in supported):
        yield plain_text(f"{UNSTEADY} not steady: still changing after warming up", "dim", LINE)


def _titled_tables(
    records: Iterable[AnyRecord], as_text: Callable[[AnyRecord], Text]
) -> Iterator[Any]:
    """Yield a title and a table for each framework, mode, size, kind, device and dtype.

    Args:
        as_text: returns the text of a record's field.
    """
    for members in group_by_fields(records, TABLE_FIELDS).values():
        yield title(members)
        yield from tables(cells(members, as_text))


def _time(record: AnyRecord) -> Text:
    """Return the field of a record's time: the time with its interval, or its outcome.

    A mark follows a time that still had a trend.
    """
    if (outcome := untimed(record)) is not None:
        return outcome
    estimate, _, interval = time_text(record["seconds"]).partition(" [")
    text = plain_text("no time" if estimate == NOTHING else estimate, most=FIGURE)
    text.pad_left(max(0, TIME_WIDTH - len(text)))
    text.append(f" [{shorten(interval, 2 * FIGURE)}" if interval else "")
    return text.append(f" {UNSTEADY}" if record["steady"] is False else "", "yellow")


def _failures(records: Iterable[AnyRecord], width: int) -> Iterator[Any]:
    """Yield the failed cells by reason, each with the command that measures it again."""
    from rich.padding import Padding

    failed_records = failed(records)
    if failed_records:
        yield plain_text("what failed", ALARM)
    for line in failures(failed_records):
        if line.startswith(COMMAND):
            yield from command_lines(line, width, lead=COMMAND)
        else:
            indent = len(line) - len(line.lstrip())
            yield Padding(plain_text(line, most=LINE), (0, 0, 0, indent))


def _notes(records: Iterable[AnyRecord]) -> Iterator[Text]:
    """Yield each note on the records once, such as what a user's own file has switched."""
    for note in dict.fromkeys(note for record in records for note in record.get("notes", ())):
        yield plain_text(f"note: {note}", "yellow", LINE)


def _commands(run: Run, report: str, go_on: str | None, width: int) -> Iterator[Text]:
    """Yield lines with the commands that a reader may want next.

    They finish an incomplete run or measure its failed cells again, and make the whole report.

    Args:
        report: the command that makes the whole report.
        go_on: the command that measures what is missing or failed; None where it is unknown.
        width: columns of the terminal.
    """
    unfinished = run.interrupted or run.finished is None
    if go_on and (unfinished or failed(run.records)):
        purpose = "to go on" if unfinished else "all that failed again, in the same run"
        yield from command_lines(go_on, width, lead=f"{purpose}: ")
    yield from command_lines(report, width, lead="the whole report: ")
    yield plain_text("the time of each cell: --times; all of it for programs: --json", "dim", LINE)
