"""Texts from outside are made harmless where they enter: of files, of workers, of a user's code."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.harness.launches.answers import read_message
from benchmarks.harness.launches.launch import WorkerCrashed, WorkerFailed
from benchmarks.scenarios.external import errors
from results.formatting import one_line
from results.records.record import RecordError, explain
from results.records.texts import TooDeep, clean, cleaned, first_names, is_name
from tests.helpers.factories.records import record
from tests.helpers.hostile_names import NAMES
from tests.helpers.terminal_text import unprintable

EVIL = "\x1b]0;owned\x07\x1b[2J\x1b[31mRED\u202e \udc80 \x9b1m\nsecond line"


@pytest.mark.parametrize("text", [*NAMES.values(), EVIL], ids=[*NAMES, "all of it"])
def test_no_letter_is_left_that_a_terminal_obeys(text: str) -> None:
    assert unprintable(clean(text)) == ""
    assert unprintable(one_line(text)) == ""
    assert unprintable(clean(text, lines=True).replace("\n", "")) == ""
    clean(text).encode()  # no half of a pair is left


def test_what_is_harmless_stays_as_it_is() -> None:
    for text in ("net1.linear.weight", "网络 α ≤ 1", "a  b", "=1+1"):
        assert clean(text) == text


@pytest.mark.parametrize(
    ("names", "most", "shown"),
    [([], 3, ""), (["b", "a"], 3, "b, a"), (["b", "a", 1, 0], 3, "b, a, 1 and 1 more"),
     (["a", "b", "c"], 2, "a, b and 1 more")],
)  # fmt: skip
def test_of_many_names_the_first_are_shown_and_the_others_counted(
    names: list[object], most: int, shown: str
) -> None:
    assert first_names(names, most) == shown


def test_a_text_that_is_too_long_is_cut_and_says_so() -> None:
    assert clean("x" * 10, 5) == "xxxx…"
    assert clean("x" * 5, 5) == "xxxxx"
    assert clean("x" * 10**6, None) == "x" * 10**6


def test_line_breaks_stay_where_they_are_asked_for() -> None:
    assert clean("one\ntwo\x1b[2J", lines=True) == "one\ntwo [2J"
    assert clean("one\ntwo") == "one two"


def test_keys_are_cleaned_as_well_and_other_values_stay() -> None:
    value = {"a\x1b": ["b\x07", 1, None, True, 2.5, {"c\n": "\u202e"}]}
    assert cleaned(value) == {"a": ["b", 1, None, True, 2.5, {"c": ""}]}


def test_too_deep_a_value_is_refused() -> None:
    deep = json.loads("[" * 21 + "]" * 21)
    with pytest.raises(TooDeep):
        cleaned(deep)
    assert cleaned(deep[0]) == deep[0]


@pytest.mark.parametrize(
    "name",
    ["-", "stacked_cascade", "n4", "gamma05", "summed@again", "large_batch32", "网络", "3.5"],
)
def test_names_are_names(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize(
    "name",
    ["", "a-b", "a b", "a/b", "a\\b", "../x", "a\x1b", "\udc80", "x" * 201, "é" * 101, "a\n", None,
     3, ["a"]],
)  # fmt: skip
def test_what_is_no_name_is_none(name: object) -> None:
    assert not is_name(name)


def test_answers_of_a_worker_are_cleaned_where_they_are_read() -> None:
    error = {"type": "RuntimeError", "message": EVIL, "line": f"net.py:3: {EVIL}", "cell": "summed"}
    message = read_message(json.dumps({"ok": False, "error": error}))
    assert unprintable(json.dumps(message, ensure_ascii=False)) == ""
    assert unprintable(str(WorkerFailed(message["error"]))) == ""
    assert "RED" in str(WorkerFailed(message["error"]))
    traceback = {"traceback": "File x\n  line 3\n"}
    assert read_message(json.dumps({"ok": True, "result": traceback}))["result"] == traceback


def test_last_words_of_a_worker_are_cleaned() -> None:
    assert unprintable(str(WorkerCrashed(f"last words: {EVIL}"))) == ""


def test_reasons_are_clean_in_a_record_and_errors_in_a_message() -> None:
    explained = explain(record(missing={"flops": EVIL}), EVIL)
    assert unprintable("".join(explained["missing"].values())) == ""
    assert len(explain(record(missing={}), "x" * 10**5)["missing"]["flops"]) == 4000
    assert unprintable(str(RecordError(EVIL))) == ""


def test_an_exception_of_a_users_own_file_is_one_clean_line(tmp_path: Path) -> None:
    said = errors.format_error(RuntimeError(EVIL), tmp_path / "net.py")
    assert unprintable(said) == ""
    assert "\n" not in said
