"""A mistake in an external spec ends in one line that names file and mistake, before any run."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks import cli
from benchmarks.harness.selection.options import Selection, SelectionError
from benchmarks.paths import ROOT
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.external import loading
from benchmarks.scenarios.external.errors import SpecError
from benchmarks.scenarios.external.frozen import shortest
from benchmarks.scenarios.external.guesses import layout_guesses
from tests.helpers.external_scenarios import Change, write

FLOW = '{"loss1": ("net1",), "loss2": BOTH}'
ADAM = '"adam", {"lr": 1e-3}'
FOLLOWER = """
from dataclasses import replace
from benchmarks.scenarios.spec import Follower, Segment, Training
segment = Segment(1, follower=Follower("net3", "net1", 0.1))
SCENARIOS = (replace(mine, trainings=(Training("t", (segment,)),)),)
"""

# mistake: (text in the spec, text that replaces it, message)
MISTAKES: dict[str, tuple[str, str, str]] = {
    "syntax": ("BOTH = (", "BOTH = ((", "mine.py:18: SyntaxError: '(' was never closed"),
    "exception": ("BOTH =", "both =", "mine.py:26: NameError: name 'BOTH' is not defined"),
    "missing_field": ("    data=data,\n", "", "missing 1 required positional argument: 'data'"),
    "imports_torch": ("import numpy as np", "import torch", "mine.py:1: ImportError: a spec must"),
    "no_scenarios": ("SCENARIOS =", "SCENARIO =", "no SCENARIOS; end the file with SCENARIOS"),
    "not_a_tuple": ("SCENARIOS = (mine,)", "SCENARIOS = mine", "SCENARIOS is Scenario, should be"),
    "empty": ("(mine,)", "()", "SCENARIOS is empty, should be a tuple"),
    "wrong_type": ("(mine,)", "('mine',)", "SCENARIOS holds a str, should hold Scenario only"),
    "name": ('name="mine"', 'name="my-net"', "name 'my-net' must be that of a function"),
    "taken": ('name="mine"', 'name="gan"', "scenario 'gan' is already in the catalogue"),
    "twice": ("(mine,)", "(mine, mine)", "scenario 'mine' is already of mine.py; give yours"),
    "no_variants": ('variants={"-"', 'variants={} and {"-"', "no variants; give at least"),
    "variant_name": ('{"-": V', '{"a-b": V', "name 'a-b' may hold letters, digits"),
    "no_networks": ("networks=BOTH", "networks=()", "no networks; name them in order"),
    "string": ("networks=BOTH", 'networks="net1"', "networks is 'net1', should be a tuple:"),
    "unknown_network": ("networks=BOTH", 'networks=("net1", "net3")', "networks names 'net3'"),
    "no_flow": (FLOW, "{}", "no flow; say for each loss the networks it reaches"),
    "flow": (FLOW, '{"loss1": ("net7",)}', "flow['loss1'] names 'net7', which no parameter has"),
    "frozen": (FLOW, f'{FLOW}, frozen=("net1.conv",)', "frozen names 'net1.conv', which no"),
    "near_miss": (FLOW, f'{FLOW}, frozen=("net1.linaer",)', "did you mean 'net1.linear' or"),
    "without_network": (FLOW, f'{FLOW}, frozen=("linear",)', "did you mean 'net1.linear' or"),
    "layout_of_nothing": (
        "    data=data,",
        """    data=data, layouts={"y": "image"},""",
        "'y'; allo",
    ),
    "layout": (
        "    data=data,",
        """    data=data, layouts={"x": "picture"},""",
        "image, sequence, as",
    ),
    "flat_image": ("    data=data,", """    data=data, layouts={"x": "image"},""", "shape [2, 3]"),
    "all_frozen": (FLOW, f"{FLOW}, frozen=BOTH", "nothing is left to train"),
    "outside": ("networks=BOTH", 'networks=("net1",)', "'net2.linear.weight' is in none of"),
    "optimizer": (ADAM, '"adagrad", {"lr": 1e-3}', "the optimizer is 'adagrad'; allowed: adam, "),
    "setting": (ADAM, '"sgd", {"lr": 1, "nesterov": True}', "sgd is given 'nesterov'; allowed:"),
    "no_lr": (ADAM, '"adam", {}', "adam is given no lr"),
    "size_name": ('{"seed": ', '{"tiny": ', "sizes has 'tiny'; allowed: seed, small, medium"),
    "no_seed": ('{"seed": ', '{"medium": ', "sizes lacks 'seed', at which the checks run"),
    "structure": ('("width",)', '("depth",)', "size 'seed' lacks 'depth', which structure names"),
    "argument": (', "width": 3}', "}", "size 'seed' lacks 'width', which structure names"),
    "unused": (
        '"width": 3}',
        '"width": 3, "depth": 1}',
        "data() at size 'seed': got an unexpected",
    ),
    "parameters": ("*, width, **_", "*, wide, **_", "missing 1 required keyword-only argument"),
    "no_parameter": (
        '**linear("net2.linear", width, width, relu=False)',
        '"net2.w": 1.0',
        "net2.w is a float, should be a Parameter",
    ),
    "no_x": ('("x", "t', '("y", "t', "the first network's input must be there as 'x'"),
    "lists": ("rng.standard_normal(shape) for", "[1.0] for", "'x' as a list, should be a NumPy"),
    "estimate_of_a_loss": (
        FLOW,
        f"{FLOW}, estimated={{'loss3': BOTH}}",
        "estimated has 'loss3'; a",
    ),
    "estimate": (
        FLOW,
        f"{FLOW}, estimated={{'loss1': ('net9',)}}",
        "estimated['loss1'] names 'net9'",
    ),
    "follower": (
        "SCENARIOS = (mine,)",
        FOLLOWER,
        "training 't' has a follower of 'net3'; allowed: net",
    ),
    "raises": ("shape = (batch,", "shape = 1 / 0, (batch,", "mine.py:14: ZeroDivisionError"),
}


@pytest.fixture(autouse=True)
def _without_loaded_frameworks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Hide frameworks that other tests have loaded into this process."""
    for name in loading.FORBIDDEN:
        monkeypatch.delitem(sys.modules, name, raising=False)


@pytest.fixture(autouse=True)
def _catalogue() -> Iterator[None]:
    """Restore the catalogue after each test."""
    before = dict(CATALOGUE)
    yield
    CATALOGUE.clear()
    CATALOGUE.update(before)


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistake_is_said_in_one_line_that_names_the_file(mistake: str, tmp_path: Path) -> None:
    before, old, new, message = dict(CATALOGUE), *MISTAKES[mistake]
    with pytest.raises(SpecError) as raised:
        loading.load([write(tmp_path, "mine", spec=(old, new))])
    line = str(raised.value)
    assert line.startswith("mine.py:")
    assert message in line
    assert "\n" not in line
    assert before == CATALOGUE


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("nowhere.py", "no such file or folder"),
        ("empty", "no spec in this folder"),
        ("notes.txt", "a spec is a Python file"),
        ("alone.py", "neither alone_torch.py nor alone_jax.py stands beside it"),
    ],
)
def test_path_without_a_scenario_is_said(path: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "notes.txt").write_text("")
    write(tmp_path, "alone", parts=())
    with pytest.raises(SpecError, match=message) as raised:
        loading.load([str(tmp_path / path)])
    assert path in str(raised.value)


def test_right_spec_is_loaded_once_and_chosen_by_default(tmp_path: Path) -> None:
    file = write(tmp_path, "mine")
    assert [s.name for s in loading.load([file, tmp_path])] == ["mine"]
    (first,) = loading.load([file])
    assert loading.load([file])[0] is first
    assert {s.name for s, _, _ in Selection().problems()} == {"mine"}
    assert {s.name for s, _, _ in Selection(scenario=("gan",)).problems()} == {"gan"}
    assert {s.name for s, _, _ in Selection(scenario=("all",)).problems()} == set(CATALOGUE)
    assert {c.size for c in Selection().cells()} == {"seed"}
    with pytest.raises(SelectionError, match="'large' is unknown"):
        Selection(size=("large",))


def test_framework_without_a_part_is_unsupported_with_the_reason(tmp_path: Path) -> None:
    loading.load([write(tmp_path, "mine")])
    cells = Selection(strategy=("separate_retained",)).cells()
    reason = "mine.py has no jax part: no mine_jax.py"
    assert {(c.framework, c.unsupported_reason()) for c in cells} == {
        ("torch", None),
        ("jax", reason),
    }


def test_two_files_cannot_have_one_name_and_neither_is_taken(tmp_path: Path) -> None:
    files = [
        write(tmp_path, "mine"),
        write(tmp_path, "other", spec=('name="other"', 'name="mine"')),
    ]
    with pytest.raises(SpecError, match=r"other.py: scenario 'mine' is already of mine.py"):
        loading.load(files)
    assert "mine" not in CATALOGUE


def test_spec_may_use_what_stands_beside_it(tmp_path: Path) -> None:
    """A file that begins with ``_`` is no spec, but the specs of its folder can import it."""
    (tmp_path / "_widths_of_mine.py").write_text("WIDTH = 3\n")
    change: Change = ("import numpy as np", "from _widths_of_mine import WIDTH")
    write(tmp_path, "mine", spec=change)
    assert [s.name for s in loading.load([tmp_path])] == ["mine"]


def test_name_like_a_parts_is_a_part_only_beside_its_spec(tmp_path: Path) -> None:
    write(tmp_path, "mine", parts=("torch", "jax"))
    write(tmp_path, "only_jax", parts=("jax",))
    assert [s.name for s in loading.load([tmp_path])] == ["mine", "only_jax"]
    (tmp_path / "mine.py").unlink()
    with pytest.raises(SpecError, match=r"part: no spec mine.py stands beside it") as raised:
        loading.load([tmp_path])
    assert str(raised.value).startswith("mine_jax.py:1: ImportError")


def test_command_that_runs_a_cell_again_names_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "my nets").mkdir()
    loading.load([write(tmp_path / "my nets", "mine")])
    monkeypatch.chdir(tmp_path)
    assert "--scenario-path='my nets/mine.py' " in Selection().cells()[0].rerun_command()
    monkeypatch.chdir("/")
    absolute = str(tmp_path / "my nets" / "mine.py").removeprefix("/")
    assert f"--scenario-path='{absolute}' " in Selection().cells()[0].rerun_command()


def test_list_shows_ones_own_and_says_a_mistake_with_exit_code_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = write(tmp_path, "mine")
    assert cli.main(["list", "--scenario-path", str(file)]) == 0
    output = capsys.readouterr().out
    assert "loss2 → net1, net2" in output
    assert "linear_cascade" not in output
    broken = write(tmp_path, "broken", spec=("networks=BOTH", "networks=()"))
    assert cli.main(["list", "--scenario-path", str(file), "--scenario-path", str(broken)]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err == (
        "cascade-bench: broken.py: broken: no networks; name them in order, "
        "such as networks=('net1', 'net2')\n"
    )


def test_pytest_ends_with_exit_code_4_and_the_same_line(tmp_path: Path) -> None:
    file = write(tmp_path, "broken", spec=("networks=BOTH", "networks=()"))
    command = [sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider"]
    completed = subprocess.run(
        [*command, "--benchmark-only", f"--scenario-path={file}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert completed.returncode == 4
    assert completed.stderr.splitlines()[0].startswith(
        "ERROR: broken.py: broken: no networks; name"
    )
    assert "Traceback" not in completed.stderr + completed.stdout


def test_layout_that_nobody_declares_is_said_with_what_to_write(tmp_path: Path) -> None:
    tokens: Change = ("shape = (batch, width)", "shape = (batch, 5, width)")
    write(tmp_path, "torch_only", spec=tokens)
    write(tmp_path, "tokens", spec=tokens, parts=("torch", "jax"))
    declared = write(tmp_path, "declared", spec=tokens, parts=("torch", "jax"))
    names = '("x", "target1", "target2")'
    text = declared.read_text().replace(
        "    structure=", f'    layouts=dict.fromkeys({names}, "sequence"),\n    structure='
    )
    declared.write_text(text)
    (line,) = layout_guesses(loading.load([tmp_path]))
    assert line == (
        "tokens.py: tokens: no layout is declared for x [2, 5, 3], target1 [2, 5, 3], target2 "
        "[2, 5, 3]: JAX gets the second axis last, as of an image with its channels; declare "
        "layouts={'x': 'image'} if that is right, 'sequence' or 'as it is' if it is not"
    )


@pytest.mark.parametrize(
    "frozen",
    [
        '("net1",)',
        '("net1.linear",)',
        '("net1.linear.weight", "net1.linear.bias")',
        '("net1.linear.bias", "net1")',
    ],
)
@pytest.mark.parametrize("reached", ['("net1",)', '("net1.linear",)'])
def test_what_is_frozen_is_the_same_by_whichever_names(
    frozen: str, reached: str, tmp_path: Path
) -> None:
    """``list``, the recipes that need a frozen front, flow and checks all read these."""
    new = f'{{"loss1": {reached}, "loss2": BOTH}}, frozen={frozen}'
    file = write(tmp_path, "frozen", spec=(FLOW, new))
    (scenario,) = loading.load([file])
    variant = scenario.variants["-"]
    assert variant.frozen == ("net1",)
    assert variant.allowed == {"loss1": (), "loss2": ("net2",)}
    assert variant.frozen_in_front
    assert scenario.problem_spec("-", "seed")["frozen"] == [
        "net1.linear.weight",
        "net1.linear.bias",
    ]


def test_layer_is_frozen_as_a_whole_only_if_it_is_at_every_size() -> None:
    small, large = ["a.0.w", "a.1.w", "b.w"], ["a.0.w", "a.1.w", "a.2.w", "b.w"]
    assert shortest(("a.0", "a.1.w"), [small]) == ("a",)
    assert shortest(("a.0", "a.1.w"), [small, large]) == ("a.0", "a.1")
    assert shortest(("b.w", "a.0"), [small, large]) == ("b", "a.0")


def test_imports_of_another_thread_are_not_refused_while_a_spec_is_read() -> None:
    """Let a thread import what it wants: a spec that hangs leaves its blocker behind."""
    blocker = loading._FrameworkBlocker()
    refused = []

    def ask() -> None:
        try:
            blocker.find_spec("torch")
        except ImportError as error:
            refused.append(error)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert refused == []
    with pytest.raises(ImportError, match="a spec must not import torch"):
        blocker.find_spec("torch")
