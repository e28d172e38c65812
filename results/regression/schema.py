"""Describe the types of the JSON document that a comparison of two versions leaves.

These are contracts for readers and for the type checker; at run time they are plain dictionaries.
Base and head are the two versions compared. A launch pair is one launch (worker process) of each,
with a second launch of base beside them as the control.
"""

from __future__ import annotations

from typing import Any, NotRequired, TypedDict


class Version(TypedDict):
    """One of the two versions: the code, and the interpreter with its packages."""

    label: str  # for people, such as a branch or "the work tree"
    versions: dict[str, str | None]  # of `document.PACKAGES`; null where one is not installed
    # A comparison of two stored runs has none of the following.
    name: NotRequired[str]  # "base" or "head"
    commit: NotRequired[str | None]  # null where there is none
    changed: NotRequired[int]  # how many files differ from the commit
    python: NotRequired[str | None]  # the interpreter; null for the one that runs the session


class DesignSettings(TypedDict):
    """How the comparison measures and decides; see `results.statistics.launch_pairs.Design`."""

    margin: float  # the largest relative difference that counts as none: 0.02 is 2 %
    alpha: float  # the chance that an unchanged session calls anything slower or faster
    looks: list[int]  # empty; of documents before there were shares: the looks that were planned
    taken: list[int]  # interim analyses made, after so many launch pairs
    shares: NotRequired[list[float]]  # of the session's whole time that had passed at each of them
    control_pairs: NotRequired[int]  # after which base was no more measured against base
    quantile: NotRequired[float]  # of a launch's samples, in percent
    dropped: NotRequired[int]  # samples left out at the start of each turn
    turn: NotRequired[float]  # seconds that one version measures in a row
    cell_seconds: NotRequired[float]  # seconds that a cell is measured in each launch


class ComparedCell(TypedDict):
    """One cell of a comparison, with its times in all launch pairs.

    Times are the quantile of a launch's samples, per call; metrics are "wall" and "cpu".
    """

    cell: dict[str, str]  # the fields of the cell
    state: str  # "ok", or a key of `document.VERDICT_OF_STATE`
    why: str | None  # the reason of a state other than "ok"
    # by metric ("wall", "cpu"), a row for each launch pair that it was measured in, the first ones:
    # the quantile of base, of head, and of base again, in seconds per call; the last is null where
    # base was no more measured against base
    seconds: dict[str, list[list[float | None]]]  # for each launch pair base, head, base again
    left_after: NotRequired[int]  # launch pairs after which it was measured no more, as decided
    counts: NotRequired[dict[str, list[float]]]  # key of `counts.METRICS` → of base, of head
    operations: NotRequired[dict[str, list[int]]]  # whose number changed: name → in base, in head
    not_repeated: NotRequired[list[str]]  # counts that changed and came out otherwise a second time


class Promise(TypedDict):
    """What the rest of the budget was said to find, at a look."""

    pairs: int  # launch pairs by then
    pairs_in_all: int  # that the budget had time for
    cells: int  # of which any one may have got slower: at the first look all, then those undecided
    power: float  # the share of slowdowns that is found
    slowdown: float | None  # 0.03 is 3 %; null where none is found
    low: float | None  # lower end of its range, from what is not known of the noise
    high: float | None  # upper end of it
    pairs_for_3_percent: float | None  # launch pairs after which +3 % is found; null if never
    seconds_for_3_percent: float | None  # the budget for that


class Document(TypedDict):
    """One comparison of two versions."""

    schema: int  # the version of the format
    kind: str  # "regression"
    id: str  # as a run's
    started: str  # ISO 8601, UTC
    finished: str | None  # null where the comparison was interrupted
    machine: dict[str, Any]  # as a run's
    arguments: list[str]  # those of the command
    seed: int  # of the order of turns
    budget_seconds: float  # that the whole session was given
    sides: dict[str, Version]  # "base" and "head"
    design: DesignSettings  # how it was measured and decided
    notes: NotRequired[list[str]]  # what users' own files switched in their workers, in sentences
    confirm_seconds: NotRequired[float]  # after the budget, for what then looks slower
    confirming: NotRequired[dict[str, Any]]  # its ``cells``, ``frameworks``, and ``pairs`` before
    promises: NotRequired[list[Promise]]  # one for each look that left cells undecided
    pair_seconds: NotRequired[list[float]]  # of each launch pair
    seconds_by_part: NotRequired[dict[str, float]]  # what the session's seconds went to
    pairs: int  # launch pairs measured
    stopped: str | None  # why no more were
    counts_only: NotRequired[bool]  # no clock was asked for
    uncounted: NotRequired[str]  # why counts could not be taken of some cells, a sentence
    broke_off: NotRequired[str]  # the error that ended the comparison after some launch pairs
    unsaved: NotRequired[bool]  # the document could not be saved in its place
    cells: list[ComparedCell]  # one for each cell compared
