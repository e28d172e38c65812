"""The page of the worker protocol is what its generator makes, and its example is of the types."""

from __future__ import annotations

from typing import Any, get_args, get_origin, get_type_hints, is_typeddict

import pytest

from benchmarks.evaluation import protocol_example, protocol_page
from benchmarks.harness.protocol import messages
from benchmarks.harness.protocol.operations import OPERATIONS

pytestmark = pytest.mark.smoke


def assert_of_type(value: Any, declared: Any) -> None:
    """Fail unless the keys of a value, at every depth, are those that its type declares."""
    if value == protocol_example.CUT:
        return
    if is_typeddict(declared):
        keys = get_type_hints(declared)
        required = {name for name in keys if name not in optional_keys(declared)}
        assert required <= set(value)
        assert set(value) <= set(keys) or declared is messages.Hello  # describes its framework too
        for name in value.keys() & keys.keys():
            assert_of_type(value[name], keys[name])
    elif get_origin(declared) is dict:
        assert isinstance(value, dict)
        for one in value.values():
            assert_of_type(one, get_args(declared)[1])
    elif get_origin(declared) is list:
        assert isinstance(value, list)
        for one in value:
            assert_of_type(one, get_args(declared)[0])
    elif isinstance(declared, type) and declared in (str, bool, int, float):
        assert isinstance(value, declared)


def optional_keys(declared: Any) -> set[str]:
    """Return the keys that a message may lack."""
    hints = get_type_hints(declared, include_extras=True)
    return {name for name, kind in hints.items() if "NotRequired" in str(get_origin(kind))}


def test_page_is_what_its_generator_makes() -> None:
    assert protocol_page.page() == protocol_page.PAGE.read_text(), "run: make docs"


def test_every_key_of_a_message_has_a_comment_and_stands_on_the_page() -> None:
    comments, page = protocol_page.DECLARED.comments, protocol_page.page()
    assert all(comments.values()), [key for key, text in comments.items() if not text]
    for (_, key), comment in comments.items():
        assert f"| `{key}` | " in page
        assert comment in page


def test_every_operation_stands_on_the_page() -> None:
    page = protocol_page.page()
    assert all(f"| `{name}` | " in page for name in OPERATIONS)


def test_example_begins_with_a_hello_and_is_of_the_declared_types() -> None:
    results: list[Any] = [messages.Hello]  # of the requests that have no answer yet
    answered = []
    for receiver, message in protocol_example.load():
        if receiver == "worker":
            operation = OPERATIONS[message.pop("op")]
            assert_of_type(message, operation.request)
            results.append(operation.result)
        elif "event" in message:
            assert_of_type(message, messages.CellEvent)
        else:
            assert_of_type(message, messages.Answer)
            answered.append(results.pop())
            assert_of_type(message["result"], answered[-1])
    assert results == []
    assert answered == [
        messages.Hello,
        *(OPERATIONS[n].result for n in ("open", "prepare", "time", "close")),
    ]


@pytest.mark.parametrize(
    "wrong",
    [
        {"cells": {}},
        {"samples": {"summed": ["slow"]}, "steady": {}},
        {"samples": {}, "steady": {}, "unknown": 1},
    ],
)
def test_value_of_other_keys_or_types_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(AssertionError):
        assert_of_type(wrong, messages.TimedCells)
