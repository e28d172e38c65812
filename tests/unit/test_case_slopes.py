"""Gradients against central differences: losses that are smooth, coarse, cut, or nearly flat."""

from __future__ import annotations

import importlib
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.worker import slopes

START = np.linspace(0.5, 1.5, 400)


def smooth(x: np.ndarray) -> float:
    return float(np.mean(np.sin(x) ** 2 + x))


def in_float32(x: np.ndarray) -> float:
    return float(np.mean((np.sin(x) ** 2 + x).astype(np.float32), dtype=np.float32))


def gradient(x: np.ndarray) -> np.ndarray:
    return (np.sin(2 * x) + 1) / x.size


def line(loss: Callable[[np.ndarray], float], direction: np.ndarray) -> slopes.Line:
    return slopes.Line(lambda t: {"loss": loss(START + t * direction)}, 1e-6 * 20)


def random_direction() -> np.ndarray:
    drawn = np.random.default_rng(0).standard_normal(START.size)
    return drawn / np.linalg.norm(drawn)


def uphill() -> np.ndarray:
    return np.abs(random_direction())


def along(loss: Callable[[np.ndarray], float], factor: float = 1.0) -> Any:
    """Return the slope along a random direction by a gradient that is ``factor`` times the true."""
    g, d = factor * gradient(START), random_direction()
    usual = float(np.linalg.norm(g)) / START.size**0.5
    return line(loss, d).slope("loss", float(g @ d), max(abs(float(g @ d)), usual))


def test_a_right_gradient_is_confirmed_and_a_wrong_one_is_not() -> None:
    assert along(smooth).error < 1e-6
    wrong = along(smooth, 1.01)
    assert wrong.error > slopes.AGREES
    assert wrong.noise is None


def test_what_is_computed_in_float32_is_hidden_along_a_random_direction() -> None:
    found = along(in_float32)
    assert found.error > slopes.AGREES
    assert found.noise is not None
    assert 1e-9 < found.noise < 1e-6


def test_what_is_computed_in_float32_is_confirmed_uphill_and_a_wrong_gradient_is_not() -> None:
    noise, expected = along(in_float32).noise, float(gradient(START) @ uphill())
    right = line(in_float32, uphill()).coarse_slope("loss", expected, noise)
    assert right.error <= slopes.AGREES
    assert right.noise is None
    assert right.coarse is not None
    wrong = line(in_float32, uphill()).coarse_slope("loss", 1.01 * expected, noise)
    assert wrong.error == pytest.approx(0.01, rel=0.2)
    assert wrong.noise is None


def test_a_loss_in_steps_is_not_taken_for_one_of_float32() -> None:
    def rounded(x: np.ndarray) -> float:
        return float(np.mean(np.round(8 * x) / 8))

    d = random_direction()
    usual = 1 / START.size
    found = line(rounded, d).slope("loss", float(d.mean()), usual)
    assert found.error > slopes.AGREES
    assert found.noise is None


def test_a_gradient_as_small_as_rounding_says_that_it_is_hidden() -> None:
    flat = line(lambda x: 1.0 + 1e-16 * float(x.sum()), uphill())
    found = flat.slope("loss", 3e-15, 3e-15)
    assert found.noise is not None
    assert flat.coarse_slope("loss", 3e-15, found.noise).noise is not None


def test_no_gradient_is_right_where_the_loss_does_not_move_and_a_cut_where_it_does() -> None:
    assert line(lambda x: 3.0, uphill()).slope("loss", 0.0, 0.0).error == 0.0
    assert line(smooth, uphill()).slope("loss", 0.0, 0.0).error == float("inf")


def test_the_worst_direction_counts_wrong_before_hidden_before_right() -> None:
    right, hidden = slopes.Slope(1e-4), slopes.Slope(0.5, 1e-7)
    wrong = slopes.Slope(0.01)
    assert max([right, hidden, wrong], key=slopes._doubt) is wrong
    assert max([right, hidden], key=slopes._doubt) is hidden


@pytest.fixture(params=["torch", "jax"])
def framework(request: pytest.FixtureRequest) -> Iterator[str]:
    pytest.importorskip(request.param)
    in_float64 = request.param == "jax" and importlib.import_module("jax").enable_x64(True)
    with in_float64 or nullcontext():
        yield request.param


def of_two_networks(framework: str, until: float, evaluated: Callable[[], None]) -> slopes.Slopes:
    """Return the slopes of a smooth loss of two networks, each of one parameter."""
    directions = importlib.import_module(f"impl_{framework}.case_slopes").Directions
    arrays = {"one.w": START[:200], "two.w": START[200:]}
    gradients = {"one.w": gradient(START)[:200], "two.w": gradient(START)[200:]}
    if framework == "torch":
        torch = importlib.import_module("torch")
        parameters = {n: torch.tensor(a) for n, a in arrays.items()}

        def losses() -> dict[str, Any]:
            evaluated()
            joined = torch.cat(list(parameters.values()))
            return {"loss": (joined.sin().square() + joined).mean()}

        opened = SimpleNamespace(
            networks={"one": None, "two": None, "none": None},
            problem=SimpleNamespace(parameters=parameters),
            all_losses=losses,
        )
        everything = {"loss": {n: torch.tensor(g) for n, g in gradients.items()}}
        return slopes.Slopes(directions(opened, everything, 0), until)

    def values(now: Any) -> dict[str, float]:
        evaluated()
        return {"loss": smooth(np.concatenate([np.asarray(now[n]) for n in arrays]))}

    networks = {name: SimpleNamespace(parameters=[f"{name}.w"]) for name in ("one", "two")}
    opened = SimpleNamespace(networks=networks, problem=SimpleNamespace(parameters=arrays))
    return slopes.Slopes(directions(opened, {"loss": gradients}, 0, values), until)


def test_every_network_is_confirmed_along_all_directions_where_there_is_time(
    framework: str,
) -> None:
    taken = of_two_networks(framework, math.inf, lambda: None)
    found = list(taken.worst_slopes())
    assert [network for _, network, _ in found] == ["one", "two"]
    assert max(slope.error for _, _, slope in found) < 1e-6
    assert taken.direction_counts == {"one": slopes.DIRECTIONS, "two": slopes.DIRECTIONS}
    assert taken.hurried() == []


def test_directions_move_the_parameters_and_put_them_back(framework: str) -> None:
    directions = of_two_networks(framework, math.inf, lambda: None).directions
    direction = directions.random("one")
    assert set(direction) == {"one.w"}
    assert np.linalg.norm(np.asarray(direction["one.w"])) == pytest.approx(1.0)
    assert directions.length(direction) == pytest.approx(float(np.linalg.norm(START[:200])))
    own = gradient(START)[:200]
    expected = float(own @ np.asarray(direction["one.w"]))
    assert directions.slope("loss", direction) == pytest.approx(expected)
    usual = float(np.linalg.norm(own)) / 200**0.5
    assert directions.usual_slope("loss", direction) == pytest.approx(usual)
    assert (np.asarray(directions.uphill("loss", direction)["one.w"]) * own > 0).all()
    start = directions.values_at(direction, 0.0)
    assert directions.values_at(direction, 0.1) != start
    assert directions.values_at(direction, 0.0) == start


@pytest.mark.parametrize(("seconds", "until"), [(1.0, 16.0), (4.0, 14.0)])
def test_each_network_has_its_share_of_the_time_and_what_is_missing_is_said(
    monkeypatch: pytest.MonkeyPatch, framework: str, seconds: float, until: float
) -> None:
    now = [0.0]

    def evaluated() -> None:
        now[0] += seconds

    monkeypatch.setattr(slopes, "time", SimpleNamespace(monotonic=lambda: now[0]))
    taken = of_two_networks(framework, until, evaluated)
    assert [network for _, network, _ in taken.worst_slopes()] == ["one", "two"]
    assert all(0 < count < slopes.DIRECTIONS for count in taken.direction_counts.values())
    (said,) = taken.hurried()
    assert said.startswith("The gradients by one, two are confirmed along fewer than 3 directions")


def test_nothing_is_confirmed_after_the_time_and_that_is_said(framework: str) -> None:
    taken = of_two_networks(framework, time.monotonic() - 1.0, lambda: None)
    assert list(taken.worst_slopes()) == []
    assert taken.hurried() == [
        "No time to confirm the gradients by one, two by central differences; "
        "a larger budget has it"
    ]


@pytest.mark.parametrize(("slow", "left"), [("several", 1), ("one", 2)])
def test_examination_takes_one_thread_where_several_are_no_faster(
    monkeypatch: pytest.MonkeyPatch, slow: str, left: int
) -> None:
    torch = pytest.importorskip("torch")
    module, now = importlib.import_module("impl_torch.case_examination"), [0.0]
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: now[0]))
    examination = module.Examination

    def losses() -> None:
        alone = torch.get_num_threads() == 1
        now[0] += 0.05 if alone == (slow == "one") else 0.01

    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        examination._choose_threads(SimpleNamespace(opened=SimpleNamespace(all_losses=losses)))
        assert torch.get_num_threads() == left
    finally:
        torch.set_num_threads(before)
