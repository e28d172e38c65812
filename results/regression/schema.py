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
    looks: list[int]  # interim analyses planned, after so many launch pairs; empty until chosen
    taken: list[int]  # interim analyses made, after so many launch pairs
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
    seconds: dict[str, list[list[float]]]  # metric → for each launch pair base, head, base again


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
    # what a user's own files have switched in their workers, a sentence each
    notes: NotRequired[list[str]]
    pairs: int  # launch pairs measured
    stopped: str | None  # why no more were
    broke_off: NotRequired[str]  # the error that ended the comparison after some launch pairs
    unsaved: NotRequired[bool]  # the document could not be saved in its place
    cells: list[ComparedCell]  # one for each cell compared
