"""The worker's methods take and return what the protocol declares, and no others exist."""

from __future__ import annotations

import inspect
import types
from collections.abc import Callable
from typing import Any, NotRequired, get_origin, get_type_hints

import pytest

from benchmarks.harness.protocol import messages
from benchmarks.harness.protocol.heartbeat import Heartbeat
from benchmarks.harness.protocol.operations import OPERATIONS
from benchmarks.harness.worker.server import Worker

METHODS: dict[str, Callable[..., Any]] = {
    name.removeprefix("do_"): method
    for name, method in inspect.getmembers(Worker, inspect.isfunction)
    if name.startswith("do_")
}


def keys_of(request: type) -> dict[str, tuple[Any, bool]]:
    """Return each key of a message with its type, and whether the key is required."""
    keys = {}
    for name, declared in get_type_hints(request, include_extras=True).items():
        optional = get_origin(declared) is NotRequired
        keys[name] = (declared.__args__[0] if optional else declared, not optional)
    return keys


def parameters_of(method: Callable[..., Any]) -> dict[str, tuple[Any, bool]]:
    """Return each parameter of a method with its type, and whether an argument is required."""
    declared = get_type_hints(method)
    parameters = [p for name, p in inspect.signature(method).parameters.items() if name != "self"]
    return {p.name: (declared[p.name], p.default is inspect.Parameter.empty) for p in parameters}


def test_each_operation_has_a_method_and_each_method_is_an_operation() -> None:
    assert METHODS.keys() == OPERATIONS.keys()


@pytest.mark.parametrize("name", OPERATIONS)
def test_method_takes_the_keys_of_its_request_and_returns_its_result(name: str) -> None:
    operation, method = OPERATIONS[name], METHODS[name]
    assert parameters_of(method) == keys_of(operation.request)
    assert get_type_hints(method)["return"] == operation.result


def test_worker_names_the_version_of_its_protocol_in_its_hello() -> None:
    session = types.SimpleNamespace(describe=lambda: {"fake": "1.0"})
    hello = Worker("fake", session, Heartbeat(), lambda message: None).do_hello()
    assert hello["protocol"] == messages.VERSION
    assert set(hello) == {"pid", "protocol", "fake"}


def test_answer_to_an_unknown_operation_is_an_error_with_every_key() -> None:
    session = types.SimpleNamespace(
        unsupported=lambda error: None, is_out_of_memory=lambda error: False
    )
    worker = Worker("fake", session, Heartbeat(), lambda message: None)
    answer = worker.answer({"op": "nonsense"})
    assert not answer["ok"]
    assert set(answer["error"]) == set(keys_of(messages.ErrorMessage))
    assert set(answer) <= set(keys_of(messages.Answer))
