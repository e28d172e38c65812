"""A user's own networks in real workers: random ones, tied ones, and what their inputs become."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.harness.launches.launch import Launch, WorkerFailed
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.protocol import cells, equivalence
from benchmarks.harness.protocol.arrays import read_arrays, select_prefix, write_arrays
from benchmarks.harness.protocol.heartbeat import Heartbeat
from benchmarks.harness.worker.server import Worker
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.external import loading
from tests.fakes.impl_fake.session import OpenProblem, Session
from tests.helpers import attention_scenario, external_scenarios

FRAMEWORKS = ("torch", "jax")
FILES: list[ProblemFiles] = []  # of the test that runs


@pytest.fixture(scope="module")
def launches(workers: CheckWorkers) -> dict[str, Launch]:
    """Return a float64 worker of each framework."""
    return {framework: workers.borrow(framework) for framework in FRAMEWORKS}


@pytest.fixture(autouse=True)
def forgotten() -> Iterator[None]:
    """Take the scenarios of a test out of the catalogue again, and remove their files."""
    before = dict(CATALOGUE)
    yield
    while FILES:
        FILES.pop().close()
    CATALOGUE.clear()
    CATALOGUE.update(before)


def opened(path: Path, launch: Launch, variant: str = "-") -> ProblemFiles:
    """Load the scenario of a file, and open it in a worker."""
    (scenario,) = loading.load([path])
    files = ProblemFiles(scenario.name, variant, "seed")
    FILES.append(files)
    files.open_in(launch)
    return files


# Random networks

FORWARD = ("return self.linear(x)", "return self.dropout(self.linear(x))")
BUILT = {
    "torch": "nn.Linear(width, width)",
    "jax": "nnx.Linear(width, width, rngs=rngs)",
}
RANDOM = {  # name: framework, the layer and its call, what is named
    "dropout": ("torch", "nn.Dropout(0.5)", "net1.dropout (Dropout, p=0.5, inplace=False)"),
    "rare": ("torch", "nn.Dropout(0.05)", "net[12].dropout (Dropout, p=0.05, inplace=False)"),
    "functional": ("torch", "lambda x: F.dropout(x, 0.5)", "net1 (Net)"),
    "nnx_dropout": ("jax", "nnx.Dropout(0.5, rngs=rngs)", "net1.dropout (Dropout, rate=0.5)"),
    "nnx_rare": ("jax", "nnx.Dropout(0.05, rngs=rngs)", "net[12].dropout (Dropout, rate=0.05)"),
    "host": ("jax", "lambda x: x * np.random.rand()", "net1 (Net, while it is traced)"),
}
RIGHT = {
    "rate_0": ("torch", "nn.Dropout(0.0)"),
    "eval": ("torch", "nn.Dropout(0.5).eval()"),
    "nnx_rate_0": ("jax", "nnx.Dropout(0.0, rngs=rngs)"),
    "nnx_deterministic": ("jax", "nnx.Dropout(0.5, deterministic=True, rngs=rngs)"),
}


def with_layer(folder: Path, name: str, framework: str, layer: str, *, batch: int = 2) -> Path:
    """Write a scenario whose networks have one more layer, called on the output of the Linear.

    With a batch of 2, outputs of 6 elements, two draws of a Dropout are alike once in 64 times.
    """
    file = external_scenarios.write(folder, name, parts=(framework,))
    part = folder / f"{name}_{framework}.py"
    text, built = part.read_text().replace(*FORWARD), BUILT[framework]
    text = text.replace(f"= {built}", f"= {built}\n        self.dropout = {layer}")
    part.write_text(f"import numpy as np\n{text}")
    assert '"batch": 2' in file.read_text()
    file.write_text(file.read_text().replace('"batch": 2', f'"batch": {batch}'))
    return file


@pytest.mark.parametrize("name", RANDOM)
def test_random_network_is_unsupported_and_the_module_that_draws_is_named(
    launches: dict[str, Launch], name: str, tmp_path: Path
) -> None:
    framework, layer, named = RANDOM[name]
    # a rare draw is looked for among few elements; else there are so many that no two draws agree
    batch = 2 if "rare" in name else 64
    opened(with_layer(tmp_path, name, framework, layer, batch=batch), launches[framework])
    with pytest.raises(WorkerFailed) as raised:
        launches[framework].ask("probe")
    said = str(raised.value)
    pattern = re.escape(named).replace(r"net\[12\]", "net[12]")
    start = rf"{name}_{framework}\.py: {name}: {pattern} draws random numbers: "
    assert re.match(start, said), said
    assert "\n" not in said
    assert raised.value.outcome == "unsupported"


@pytest.mark.parametrize("name", RIGHT)
def test_dropout_that_is_switched_off_is_no_random_network(
    launches: dict[str, Launch], name: str, tmp_path: Path
) -> None:
    framework, layer = RIGHT[name]
    launch = launches[framework]
    files = opened(with_layer(tmp_path, name, framework, layer), launch)
    assert launch.ask("probe") == {}
    assert len(files.gradients(launch, "backward", "summed", "gradient")) == 4


# Tied parameters

TIED = {
    "torch": (
        "    return [",
        "    net1, net2 = Net(width), Net(width)\n    net2.linear.weight = net1.linear.weight\n"
        "    return [",
    ),
    "jax": (
        "    return [",
        "    net1, net2 = Net(width, rngs), Net(width, rngs)\n"
        "    net2.linear.kernel = net1.linear.kernel\n    return [",
    ),
}
WITHOUT = {  # the name that the spec leaves out
    "net2": '{n: p for n, p in parameters_of(width).items() if n != "net2.linear.weight"}',
    "net1": '{n: p for n, p in parameters_of(width).items() if n != "net1.linear.weight"}',
    "none": "parameters_of(width)",
}


def tied(folder: Path, name: str, left_out: str) -> Path:
    """Write a scenario whose two networks share a weight.

    Args:
        folder: to write to.
        name: of the scenario.
        left_out: the network whose name for the weight the spec leaves out, or ``none``.
    """
    file = external_scenarios.write(folder, name, parts=FRAMEWORKS)
    text = file.read_text().replace("def parameters(*, width, **_):", "def parameters_of(width):")
    again = f"\n\ndef parameters(*, width, **_):\n    return {WITHOUT[left_out]}\n\n\ndef data("
    text = text.replace("\n\ndef data(", again)
    if left_out != "none":  # the weight belongs to both networks: every loss reaches it
        kept = "net2" if left_out == "net1" else "net1"
        flow = f'"loss1": ("net1", "{kept}.linear.weight")'
        text = text.replace('"loss1": ("net1",)', flow)
        if left_out == "net1":
            text = text.replace('("net1", "net2.linear', '("net1.linear", "net2.linear')
    file.write_text(text)
    for framework, (old, new) in TIED.items():
        part = folder / f"{name}_{framework}.py"
        changed = part.read_text().replace(old, new)
        for net in ("net1", "net2"):
            for call in ("Net(width)", "Net(width, rngs)"):
                changed = changed.replace(f'Stage("{net}", {call}', f'Stage("{net}", {net}')
        part.write_text(changed)
    return file


@pytest.mark.parametrize(
    ("framework", "left_out"),
    [
        ("torch", "net2"),
        ("torch", "net1"),
        pytest.param("jax", "net2", marks=pytest.mark.slow),
        pytest.param("jax", "net1", marks=pytest.mark.slow),
    ],
)
def test_every_strategy_gives_a_tied_parameter_the_gradients_of_all_its_places(
    launches: dict[str, Launch], framework: str, left_out: str, tmp_path: Path
) -> None:
    """Whichever of its names the spec gives it."""
    launch = launches[framework]
    files = opened(tied(tmp_path, f"tied_{left_out}", left_out), launch)
    launch.ask("probe")
    files.references.check_flow(launch)
    ends = {
        name: select_prefix(files.gradients(launch, "backward", name, "gradient"), "gradient")
        for name in cells.STRATEGIES[framework]
    }
    weight = "net1.linear.weight" if left_out == "net2" else "net2.linear.weight"
    assert set(ends["summed"]) == {weight, "net1.linear.bias", "net2.linear.bias"}
    for name, gradients in ends.items():
        problem = equivalence.compare(
            gradients,
            ends["summed"],
            allowed=equivalence.FLOAT64_TOLERANCE,
            dtype="float64",
            networks=["net1", "net2"],
        ).problem
        assert problem is None, f"{name}: {problem}"
    assert ends["summed"][weight] == pytest.approx(slopes(files, launch, weight), rel=1e-6)


def slopes(files: ProblemFiles, launch: Launch, name: str) -> np.ndarray:
    """Return the gradient of the summed loss by one parameter, by central differences."""
    shape = read_arrays(files.weights)[name].shape
    path, moves = files.folder / "moves.npz", {}
    for i in range(int(np.prod(shape))):
        move = np.zeros(shape)
        move.flat[i] = 1.0
        moves[f"{i}/{name}"] = move
    write_arrays(path, moves)
    along = launch.ask("losses_along", weights=files.weights, directions=str(path), step=1e-5)
    return np.array([sum(losses.values()) for losses in along.values()]).reshape(shape)


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_tied_parameter_that_the_spec_names_twice_is_said_to_be_tied(
    launches: dict[str, Launch], framework: str, tmp_path: Path
) -> None:
    with pytest.raises(WorkerFailed) as raised:
        opened(tied(tmp_path, "twice", "none"), launches[framework])
    assert str(raised.value).startswith(
        f"twice_{framework}.py: twice: net2.linear.weight is the same tensor as "
        "net1.linear.weight (tied), and the spec names both"
    )


# Layouts and precision


def test_tokens_reach_both_frameworks_alike_and_their_attention_agrees(
    launches: dict[str, Launch], tmp_path: Path
) -> None:
    """The key third of the packed bias is noise in both, and is marked."""
    path = attention_scenario.write(tmp_path, "attention")
    files = opened(path, launches["torch"], "whole")
    paths = files.references.compute(launches, "backward", "gradient")
    assert set(paths) == set(FRAMEWORKS), files.references.failures
    for one in paths.values():
        masks = select_prefix(read_arrays(one), "zero")
        assert set(masks) == {"front.packed.bias", "back.packed.bias"}
        for mask in masks.values():
            assert mask.tolist() == [False] * 8 + [True] * 8 + [False] * 8


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_inputs_come_in_the_precision_of_the_session_and_labels_stay_whole(
    workers: CheckWorkers, framework: str
) -> None:
    """The worker itself compares both when a problem is opened."""
    files, launch = ProblemFiles("frozen_prefix", "-", "seed"), workers.borrow(framework, "float32")
    FILES.append(files)
    files.open_in(launch)  # raises where the worker finds another precision
    assert launch.ask("probe") == {}


def test_input_of_another_precision_ends_the_opening(monkeypatch: pytest.MonkeyPatch) -> None:
    worker = Worker("fake", Session("cpu", "float32"), Heartbeat(), lambda message: None)
    files = ProblemFiles("linear_cascade", "-", "seed")
    request: dict[str, Any] = {
        "facts": files.problem_spec | {"family": "cascade"},
        "weights": files.weights,
        "data": files.data,
    }
    monkeypatch.setattr(
        "benchmarks.scenarios.external.parts.find_builder", lambda *_: lambda width: width
    )
    worker.do_open(**request)
    for wrong in ("float64", "int32", "absent"):
        dtypes = {"x": wrong, "target1": "float32", "target2": "float32"}
        dtypes = {n: d for n, d in dtypes.items() if d != "absent"}
        monkeypatch.setattr(OpenProblem, "input_dtypes", lambda _, d=dtypes: d)
        answer = worker.answer({"op": "open", **request})
        assert not answer["ok"], "an input of another precision went through"
        error: Any = answer["error"]
        assert f"the input x arrives as {wrong}, should be float32" in error["message"]
    files.close()
