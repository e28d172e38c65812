"""`assert_flow`: what is judged, and what is said where a gradient goes astray."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_bench import CaseError, assert_flow
from cascade_bench.comparison import Comparison
from tests.helpers.own_code import example_document


@pytest.fixture(autouse=True)
def asked(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Examine nothing; return the options that `examine` was called with."""
    seen: list[dict[str, Any]] = []

    def examine(make: Any, **options: Any) -> Comparison:
        seen.append(options)
        return Comparison(example_document())

    monkeypatch.setattr("cascade_bench.flow_check.examine", examine)
    return seen


def make() -> None: ...


def test_flow_that_is_as_expected_passes(asked: list[dict[str, Any]]) -> None:
    assert_flow(make, {"code": {"encoder": "value", "head": "absent"}}, framework="torch")
    assert asked == [{"framework": "torch"}]


def test_gradient_that_goes_astray_is_named() -> None:
    with pytest.raises(AssertionError, match=r"code → head is absent, expected zero \(torch\)$"):
        assert_flow(make, {"code": {"head": "zero", "encoder": "value"}})


@pytest.mark.parametrize(
    ("expected", "error", "said"),
    [
        ({}, ValueError, "nothing to judge"),
        ({"code": {}}, ValueError, "nothing to judge"),
        ({"code": {"head": "none"}}, ValueError, "give one of value, zero, absent"),
        ({"cod": {"head": "zero"}}, CaseError, "no loss 'cod'; did you mean 'code'"),
        ({"code": {"xyz": "zero"}}, CaseError, "no network 'xyz'; it has encoder, head"),
    ],
)
def test_expectation_that_judges_nothing_is_refused(
    expected: dict[str, dict[str, str]], error: type[Exception], said: str
) -> None:
    with pytest.raises(error, match=said):
        assert_flow(make, expected)
