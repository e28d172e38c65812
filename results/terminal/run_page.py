"""The essentials of a saved run, for a terminal: ``cascade-bench show``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from results.estimates.cross_framework import FrameworkRatio, framework_ratios
from results.formatting import NOTHING, bytes_text, ratio_text, time_text
from results.records.failures import COMMAND, failed, failures
from results.records.record import AnyRecord, Record, Run
from results.terminal import ratios, run_summary
from results.terminal.ratios import TABLE, by, cells, problem, title, untimed
from results.terminal.show_head import LOUD, head
from results.terminal.show_recipes import recipes
from results.terminal.tables import FIGURE, LINE, WIDTH, command, cut, plain, printed, tables

if TYPE_CHECKING:
    from rich.text import Text

_PAIRED = ("size", "kind", "phase", "device", "dtype")
UNSTEADY = "~"


def text(
    run: Run,
    report: str,
    go_on: str | None = None,
    width: int = WIDTH,
    *,
    colour: bool = False,
    times: bool = False,
) -> str:
    """What a terminal of that width shows of the run; no line is wider.

    Args:
        report: the command that makes its whole report.
        go_on: the command that measures what was not, or failed; None where it is unknown.
        times: the time of every cell too.
    """
    sections: list[Iterable[Any]] = [
        head(run),
        ratios.ratio_parts(run.records),
        _verdicts(run),
        _frameworks(run),
        recipes(run.records),
        _peaks(run.records),
        _times(run.records) if times else (),
        _failures(run.records, width),
        _commands(run, report, go_on, width),
    ]
    shown = (printed(section, width, colour=colour) for section in sections)
    return "\n\n".join(filter(None, shown))


def _verdicts(run: Run) -> Iterator[Text]:
    asked = run_summary.settings(run)
    lines = [ratios.counted(run.records, asked["margins"] or {}, asked["alpha"])]
    if asked["stopped"] and asked["precision"]:
        lines.append(ratios.stops(asked["stopped"], asked["precision"]))
    for line in filter(None, lines):
        yield plain(line, most=LINE)


def _frameworks(run: Run) -> Iterator[Any]:
    """jax's time over torch's, a table for what differs only in problem and strategy."""
    pairs = list(framework_ratios(run.records, run.samples))
    timed = {record["framework"] for record in run.records if record["outcome"] == "ok"}
    if pairs:
        level = f"{100 * pairs[0].ratio['confidence']:g} %"
        about = f"[{level} interval, unpaired: each has launches of its own]"
        yield plain(f"torch against jax: jax's time over torch's {about}", "bold", LINE)
    elif {"torch", "jax"} <= timed:
        why = "no cell was timed in both" if run.samples else "the samples are not beside the run"
        yield plain(f"torch against jax: nothing to show, {why}", "bold", LINE)
    tabled: dict[str, list[FrameworkRatio]] = {}
    for pair in pairs:
        tabled.setdefault(_paired(pair), []).append(pair)
    for about, members in tabled.items():
        yield plain(about, most=LINE)
        yield from tables({_at(pair.torch): _interval(pair) for pair in members})


def _paired(pair: FrameworkRatio) -> str:
    torch: AnyRecord = pair.torch
    size, kind, phase, device, dtype = (cut(torch[name]) for name in _PAIRED)
    modes = f"torch {cut(pair.torch['mode'])}, jax {cut(pair.jax['mode'])}"
    equal = "equal modes" if pair.equal_modes else "unequal modes"
    where = [] if (device, dtype) == ("cpu", "float32") else [f"{device} {dtype}"]
    return " · ".join([f"{modes}: {equal}", size, f"{kind}, phase {phase}", *where])


def _at(record: Record) -> tuple[tuple[str, ...], str]:
    return problem(record), cut(record["strategy"])


def _interval(pair: FrameworkRatio) -> Text:
    low, high = pair.ratio["low"], pair.ratio["high"]
    within = low is not None and high is not None and low <= 1 <= high
    return plain(ratio_text(pair.ratio), "dim" if within else "", 2 * FIGURE)


def _peaks(records: Iterable[Record]) -> Iterator[Any]:
    measured = [record for record in records if record["peak_bytes"] is not None]
    if measured:
        yield plain("peak memory", "bold")
    yield from _grids(measured, lambda r: plain(bytes_text(r["peak_bytes"]), most=FIGURE))


def _times(records: Iterable[Record]) -> Iterator[Any]:
    possible = [record for record in records if record["outcome"] != "unsupported"]
    if possible:
        yield plain("the time of one call [interval]", "bold")
    yield from _grids(possible, _time)
    if any(record["steady"] is False for record in possible):
        yield plain(f"{UNSTEADY} not steady: still changing after warming up", "dim")


def _grids(records: Iterable[Record], shown: Callable[[Record], Text]) -> Iterator[Any]:
    for members in by(records, TABLE).values():
        yield title(members)
        yield from tables(cells(members, shown))


def _time(record: Record) -> Text:
    if (why := untimed(record)) is not None:
        return why
    estimate, _, ends = time_text(record["seconds"]).partition(" [")
    text = plain("no time" if estimate == NOTHING else estimate, most=FIGURE)
    text.pad_left(max(0, 7 - len(text)))
    text.append(f" [{cut(ends, 2 * FIGURE)}" if ends else "")
    return text.append(f" {UNSTEADY}" if record["steady"] is False else "", "yellow")


def _failures(records: Iterable[Record], width: int) -> Iterator[Any]:
    from rich.padding import Padding

    found = failed(records)
    if found:
        yield plain("what failed", LOUD)
    for line in failures(found):
        if line.startswith(COMMAND):
            yield from command(line, width, lead=COMMAND)
        else:
            yield Padding(plain(line, most=LINE), (0, 0, 0, len(line) - len(line.lstrip())))


def _commands(run: Run, report: str, go_on: str | None, width: int) -> Iterator[Text]:
    stopped = run.interrupted or run.finished is None
    if go_on and (stopped or failed(run.records)):
        what = "to go on" if stopped else "all that failed again, in the same run"
        yield from command(go_on, width, lead=f"{what}: ")
    yield from command(report, width, lead="the whole report: ")
    yield plain("the time of each cell: --times; all of it for programs: --json", "dim", LINE)
