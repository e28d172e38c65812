"""What a `Case` refuses at a glance."""

from __future__ import annotations

from typing import Any

import pytest

from cascade_bench import Case, Stage

NETWORKS = {"encoder": object(), "head": object()}


def losses(*arguments: Any) -> dict[str, Any]:
    return {}


def test_case_keeps_what_it_was_given() -> None:
    case = Case(NETWORKS, losses, {"x": 1}, frozen=["encoder"])
    assert case.networks is NETWORKS
    assert (case.losses, case.batch, case.frozen) == (losses, {"x": 1}, ["encoder"])
    stages = [Stage("encoder", {}), Stage("head", {"task": losses})]
    assert Case(NETWORKS, batch=1, stages=stages).stages == stages


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"networks": [1]}, "networks is of type list; give a dictionary"),
        ({"networks": {}}, "networks is empty"),
        ({"networks": {1: 2}}, "name of a network must be a string, not 1"),
        ({"losses": None}, "neither of losses and stages given; give one of the two"),
        ({"stages": [Stage("head", {"task": losses})]}, "both of losses and stages given"),
        ({"losses": {"a": 1}}, "losses is of type dict; give a function"),
        ({"weights": {"a": "b"}}, "weights is of type dict; give a function of torch's weights"),
        ({"frozen": "encoder"}, r"give a list: frozen=\['encoder'\]"),
        ({"losses": None, "stages": ["head"]}, "stages must be a list of Stage"),
        ({"losses": None, "stages": [Stage("heat", {"a": losses})]}, "'heat'; networks has"),
        ({"losses": None, "stages": [Stage("head", {})]}, "no stage has a loss"),
        (
            {"losses": None, "stages": [Stage("head", {"a": losses}), Stage("head", {})]},
            "name a network twice",
        ),
        (
            {
                "losses": None,
                "stages": [Stage("head", {"a": losses}), Stage("encoder", {"a": losses})],
            },
            "two losses of the stages have the same name",
        ),
        ({"expect_flow": {"task": {"heat": "value"}}}, "names 'heat'; networks has encoder, head"),
        ({"expect_flow": {"task": {"head": "some"}}}, "must be one of value, zero, absent"),
        ({"expect_flow": {"task": "value"}}, "give network → one of"),
    ],
)
def test_wrong_case_is_refused_with_what_to_give(arguments: dict[str, Any], said: str) -> None:
    given: dict[str, Any] = {"networks": NETWORKS, "losses": losses, **arguments}
    with pytest.raises((TypeError, ValueError), match=said):
        Case(**given)
