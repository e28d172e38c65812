"""A mistake in an external part is the reason of its own cells and costs no other its time."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.paths import ROOT
from benchmarks.scenarios import CATALOGUE
from tests.helpers.external_scenarios import Change, write

NET1 = 'Stage("net1", Net(width), {"loss1": against("target1", F.mse_loss)}),'
TARGET2 = 'against("target2", F.mse_loss)'

# name: (outcome, text in the torch part, text that replaces it, message)
TORCH: dict[str, tuple[str, str, str, str]] = {
    "no_function": (
        "crashed", "def no_function", "def something",
        "no_function_torch.py: no function 'no_function'; each scenario needs one of its name, "
        "it defines Net, something",
    ),
    "syntax": ("crashed", "return [", "return [[", "syntax_torch.py:17: SyntaxError: '[' was"),
    "imports": (
        "crashed", "from torch import nn", "from torch import nn\nimport nothing_of_this_name",
        "imports_torch.py:3: ModuleNotFoundError: No module named 'nothing_of_this_name'",
    ),
    "arguments": (
        "crashed", "*, width", "*, wide",
        "arguments_torch.py: TypeError: arguments() got an unexpected keyword argument 'width'",
    ),
    "building": (
        "crashed", "super().__init__()", "super().__init__()\n        1 / 0",
        "building_torch.py:10: ZeroDivisionError: division by zero",
    ),
    "returns": (
        "crashed", "return [", "return None and [",
        "returns_torch.py: returns returns NoneType, should be [Stage, …]",
    ),
    "forward": (
        "crashed", "return self.linear(x)", "return self.linear(x[:, 1:])",
        "forward_torch.py:13: RuntimeError: mat1 and mat2 shapes cannot be multiplied",
    ),
    "parameter_name": (
        "crashed", "self.linear", "self.fc",
        "parameter_name_torch.py: parameter_name: it has net1.fc.weight, net1.fc.bias, "
        "net2.fc.weight, net2.fc.bias, which the spec does not name; it lacks net1.linear.weight, ",
    ),
    "no_bias": (
        "crashed", "nn.Linear(width, width)", "nn.Linear(width, width, bias=False)",
        "no_bias_torch.py: no_bias: it lacks net1.linear.bias, net2.linear.bias, which the spec",
    ),
    "shape": (
        "crashed", "nn.Linear(width, width)", "nn.Linear(width, 2)",
        "shape_torch.py: shape: net1.linear.weight is [2, 3], should be [3, 3] (in torch's layout",
    ),
    "loss_missing": (
        "crashed", '{"loss2": against', '{"loss": against',
        "loss_missing_torch.py: loss_missing: no stage has a loss 'loss2', which the spec's flow "
        "names; there is loss1, loss",
    ),
    "loss_unknown": (
        "crashed", '{"loss2"', '{"extra": against("target2", F.l1_loss), "loss2"',
        "loss_unknown_torch.py: loss_unknown: a stage has a loss 'extra', which the spec's flow "
        "does not name; it names loss1, loss2",
    ),
    "not_scalar": (
        "crashed", TARGET2, "lambda output, data: (output - data['target2']) ** 2",
        "not_scalar_torch.py: not_scalar: loss2 has shape [2, 3], should be a scalar; take its",
    ),
    "no_tensor": (
        "crashed", TARGET2, "lambda output, data: 1.0",
        "no_tensor_torch.py: no_tensor: loss2 is no tensor, so nothing can be learned from it",
    ),
    "not_finite": (
        "crashed", TARGET2, "lambda output, data: (output - output - 1).log().mean()",
        "not_finite_torch.py: not_finite: loss2 is nan at the weights and data that the spec",
    ),
    "ends": (
        "crashed", "    return [", "    import sys\n    sys.exit(3)\n    return [",
        "ends_torch.py:18: SystemExit: 3",
    ),
    "no_such_data": (
        "crashed", '"target2"', '"target"',
        "no_such_data_torch.py: no_such_data: a loss or a link asks the data for 'target'; "
        "the spec's data is x, target1, target2",
    ),
    "cut_too_much": (
        "wrong_gradients", TARGET2 + "}", TARGET2 + "}, cut",
        "cut_too_much_torch.py: cut_too_much: the flow does not hold: loss2 → net1.linear.weight: "
        "absent, should be value, and 1 more",
    ),
    "reaches_nothing": (
        "wrong_gradients", TARGET2, "lambda output, data: output.detach().mean()",
        "reaches_nothing_torch.py: reaches_nothing: the flow does not hold: loss2 → "
        "net1.linear.weight: absent, should be value, and 3 more",
    ),
}  # fmt: skip
UNCUT: Change = ('"loss2": BOTH', '"loss2": ("net2",)')
TWO_PARTS: dict[str, dict[str, Any]] = {
    "raising": {"jax": ("return self.linear(x)", "return self.linear(x[:, 1:])")},
    "uncut": {"spec": UNCUT, "torch": (TARGET2 + "}", TARGET2 + "}, cut")},
    "differ": {"jax": ("jnp.square(output - target)", "1.01 * jnp.square(output - target)")},
}


def session(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider", "-q"]
    command += [f"--scenario-path={folder}", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a scenario for each mistake, one without any, and one whose data cannot be drawn."""
    nets = tmp_path_factory.mktemp("nets")
    for name, (_, old, new, _) in TORCH.items():
        write(nets, name, torch=(old, new))
    for name, changes in TWO_PARTS.items():
        write(nets, name, parts=("torch", "jax"), **changes)
    write(nets, "right")
    more = '{"seed": {"batch": 2, "width": 3}, "small": {"batch": -1, "width": 3}}'
    write(nets, "drawing", spec=('{"seed": {"batch": 2, "width": 3}}', more))
    return nets


@pytest.fixture(scope="module")
def saved(folder: Path) -> tuple[dict[tuple[str, str], dict[str, Any]], str, int]:
    """Return the records of `separate_retained` by (scenario, framework), output and exit code."""
    chosen = ["--kind=backward", "--strategy=separate_retained", "--launches=1", "--size=all"]
    timing = ["--benchmark-only", "--cell-seconds=0.001", f"--results={folder / 'runs'}"]
    completed = session(folder, *timing, *chosen)
    (path,) = (folder / "runs").glob("*/*.json")
    records = json.loads(path.read_text())["records"]
    chosen_records = [r for r in records if r["strategy"] != "summed" and r["size"] == "seed"]
    by_part = {(r["scenario"], r["framework"]): r for r in chosen_records}
    small = [r for r in records if r["size"] == "small" and r["framework"] == "torch"]
    return (
        by_part | {("drawing", "small"): small[0]},
        completed.stdout + completed.stderr,
        completed.returncode,
    )


@pytest.mark.parametrize("name", TORCH)
def test_mistake_in_a_part_is_its_cells_outcome_and_reason(saved: Any, name: str) -> None:
    outcome, _, _, message = TORCH[name]
    record = saved[0][name, "torch"]
    reason = record["missing"]["seconds"]
    assert (record["outcome"], record["family"]) == (outcome, name)
    assert reason.startswith(message)
    assert "\n" not in reason
    assert f"{name}.py --kind=backward" in record["rerun"]


def test_session_goes_on_around_the_mistakes_and_says_them(saved: Any) -> None:
    records, output, code = saved
    assert code == 1
    for name in ("right", "drawing"):
        assert records[name, "torch"]["outcome"] == "ok", output
        assert records[name, "jax"]["outcome"] == "unsupported"
    assert "right.py has no jax part" in records["right", "jax"]["missing"]["seconds"]
    failures = output.partition("what failed")[2]
    assert f"crashed, 2 cells: {records['forward', 'torch']['missing']['seconds']}" in failures
    assert (
        "  backward forward seed torch eager backward cpu float32: summed, separate_ret" in failures
    )
    assert "Traceback" not in output


def test_data_that_cannot_be_drawn_is_said_with_its_line(saved: Any) -> None:
    reason = saved[0]["drawing", "small"]["missing"]["seconds"]
    assert reason.startswith("drawing.py:15: ValueError: negative dimensions are not allowed")
    assert "at size 'small'" in reason


def test_mistake_in_one_part_leaves_the_other_its_times(saved: Any) -> None:
    records, output, _ = saved
    assert records["raising", "torch"]["outcome"] == "ok", output
    assert records["raising", "jax"]["outcome"] == "crashed"
    assert records["raising", "jax"]["missing"]["seconds"].startswith("raising_jax.py:12: ")
    assert records["uncut", "torch"]["outcome"] == "ok", output
    assert records["uncut", "jax"]["outcome"] == "wrong_gradients"
    reason = records["uncut", "jax"]["missing"]["seconds"]
    assert "loss2 → net1.linear.bias: value, should be zero" in reason


def test_parts_that_differ_get_no_time_at_all(saved: Any) -> None:
    for framework in ("torch", "jax"):
        record = saved[0]["differ", framework]
        assert record["outcome"] == "wrong_gradients"
        reason = record["missing"]["seconds"]
        assert reason.startswith("the frameworks' float64 references differ: net")


def test_group_measured_in_another_process_finds_the_spec(measured: Any, tmp_path: Path) -> None:
    """`measure_group` loads the spec by its path in a process that has not loaded it before."""
    file = write(tmp_path, "faraway")
    (tmp_path / "faraway_fake.py").write_text("1 / 0\n")
    results = measured("summed", scenario="faraway", file=str(file))
    del CATALOGUE["faraway"]
    assert results["summed"]["outcome"] == "crashed"
    assert results["summed"]["why"] == "faraway_fake.py:1: ZeroDivisionError: division by zero"


def test_checks_fail_with_the_same_line_and_pass_what_is_right(folder: Path) -> None:
    chosen = "names_and_shapes or flow_is or agree_between"
    completed = session(
        folder, "--benchmark-skip", "--size=seed", "--framework=torch", "-k", chosen
    )
    assert completed.returncode == 1
    failed = [line for line in completed.stdout.splitlines() if line.startswith("FAILED")]
    for name, (_, _, _, message) in TORCH.items():
        flow = "flow does" in message
        test = "flow_is_as_declared" if flow else "names_and_shapes"
        lines = [line for line in failed if test in line and f"[{name}-" in line]
        assert len(lines) == 1, name
        short = message.partition("hold: ")[2].partition(", and")[0] if flow else message
        assert short[:60] in completed.stdout, name
    assert not [line for line in failed if "[right-" in line]
    assert "right.py has no jax part: no right_jax.py" in completed.stdout
    assert "Traceback" not in completed.stdout
