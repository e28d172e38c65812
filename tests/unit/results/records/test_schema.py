"""The typed contracts name the same keys, in the same order, as what is written and checked."""

from __future__ import annotations

from results.records.record import ESTIMATE_KEYS, OPTIONAL_KEYS, RECORD_KEYS
from results.records.schema import Estimate, Record, RunFile
from results.records.validation import RUN_RULES
from results.regression.document import new_design, new_document
from results.regression.schema import ComparedCell, DesignSettings, Document


def test_types_of_a_run_have_the_keys_that_are_written_and_checked() -> None:
    assert tuple(Record.__annotations__) == (*RECORD_KEYS, *OPTIONAL_KEYS)
    assert tuple(Estimate.__annotations__) == ESTIMATE_KEYS
    assert set(RunFile.__annotations__) == {"schema", *RUN_RULES}


def test_types_of_a_comparison_have_the_keys_that_are_written() -> None:
    known = dict.fromkeys(
        ("id", "started", "machine", "arguments", "sides", "seed", "budget_seconds")
    )
    document = new_document([{"kind": "backward"}], **known, design=new_design())
    optional = {"broke_off", "unsaved", "confirm_seconds", "confirming", "promises", "notes"}
    optional |= {"pair_seconds", "seconds_by_part", "counts_only", "uncounted"}
    assert set(document) == set(Document.__annotations__) - optional
    assert set(document["cells"][0]) == set(ComparedCell.__annotations__) - {
        "left_after", "counts", "not_repeated", "operations",
    }  # fmt: skip
    assert set(document["design"]) <= set(DesignSettings.__annotations__)
