"""Layers: which package may import which, and what the controlling process never imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from benchmarks.harness.protocol import cells
from benchmarks.paths import ROOT
from benchmarks.scenarios import SIZES
from results.report import vocabulary
from tests.helpers.machine_speed import least_reading

GROUND = ("impl_torch", "impl_jax", "results")
# Files in which every public function or class of one framework has its namesake in the other, or
# at least half of them do, in the same order.
TWINS = (
    "cascade.py", "alternation.py", "partial_freeze.py", "parameter_groups.py", "problem.py",
    "branches.py", "averaging.py",
    "strategies.py", "recipes.py", "training.py", "optimizers.py", "compiling.py", "program.py",
    "naming.py", "probing.py", "layout.py", "gemms.py", "runtime.py", "switches.py",
    "session.py", "canaries.py", "graph_problem.py", "case.py", "case_values.py",
    "case_dtypes.py",
    "case_examination.py", "case_losses.py", "step_case.py", "step_recording.py",
    "step_replays.py", "step_observation.py", "loss_reach.py", "calibration.py",
    "precision.py",
)  # fmt: skip
FRAMEWORKS = {"torch", "jax", "jaxlib", "flax", "optax"}

# Package → the packages of this project that its files may import. A package's own files, and those
# of the packages it holds that have no line here, are not listed. Every arrow points downwards:
# `test_arrows_make_no_circle`.
ARROWS = {
    "results": ("results.records",),  # texts are cleaned in one way
    "results.records": (),
    "results.statistics": ("results.records",),
    "results.estimates": ("results.records", "results.statistics"),
    "results.regression": ("results.records", "results.statistics"),
    "results.own_code": ("results.estimates", "results.records", "results.statistics"),
    "results.terminal": (
        "results",
        "results.records",
        "results.statistics",
        "results.estimates",
        "results.regression",
    ),
    "results.report": (
        "results",
        "results.records",
        "results.statistics",
        "results.estimates",
        "results.regression",
        "results.terminal",
    ),
    "benchmarks.paths": (),
    "benchmarks.machine": (
        "benchmarks.paths",
        "results.records",
    ),  # how to install what is missing, said alike
    "benchmarks.scenarios": (),
    "benchmarks.scenarios.external": ("benchmarks.scenarios",),
    "benchmarks.harness.protocol": ("benchmarks.scenarios",),
    "benchmarks.harness.worker": ("benchmarks.harness.protocol", "benchmarks.scenarios.external"),
    "benchmarks.harness.launches": (
        "benchmarks.harness.protocol",
        "benchmarks.machine",
        "benchmarks.paths",
        "benchmarks.scenarios",
        "benchmarks.scenarios.external",
        "results.records",  # texts of a worker's answers are cleaned as those of a file
    ),
    "benchmarks.harness.ranks": (  # a worker that is the parent of others, its ranks
        "benchmarks.harness.launches",
        "benchmarks.harness.protocol",
        "benchmarks.harness.worker",
    ),
    "benchmarks.harness.measurement": (
        "benchmarks.harness.launches",
        "benchmarks.harness.protocol",
        "benchmarks.harness.worker",
        "benchmarks.machine",
        "benchmarks.scenarios.external",
        "results.statistics",
    ),
    "benchmarks.harness.selection": (
        "benchmarks.harness.protocol",
        "benchmarks.harness.worker",
        "benchmarks.scenarios",
    ),
    "benchmarks.harness.session": (
        "benchmarks.harness.launches",
        "benchmarks.harness.measurement",
        "benchmarks.harness.protocol",
        "benchmarks.harness.worker",
        "benchmarks.machine",
        "benchmarks.paths",
        "benchmarks.scenarios",
        "results.estimates",
        "results.records",
        "results.statistics",
        "results.terminal",
    ),
    "benchmarks.regression": (
        "benchmarks.harness.launches",
        "benchmarks.harness.protocol",
        "benchmarks.harness.selection",
        "benchmarks.harness.session",
        "benchmarks.machine",
        "benchmarks.own_code",  # what a case of the user's own is, and which ways it has
        "benchmarks.paths",
        "benchmarks.scenarios",
        "benchmarks.scenarios.external",
        "results.records",
        "results.regression",
        "results.terminal",
    ),
    "benchmarks.cluster": (
        "benchmarks.harness.launches",
        "benchmarks.harness.measurement",
        "benchmarks.harness.protocol",
        "benchmarks.harness.selection",
        "benchmarks.harness.session",
        "benchmarks.machine",
        "benchmarks.paths",
        "benchmarks.regression",
        "benchmarks.scenarios.external",
        "results",
        "results.records",
    ),
    "benchmarks.commands": (
        "benchmarks.cluster",
        "benchmarks.harness.launches",
        "benchmarks.harness.measurement",
        "benchmarks.harness.protocol",
        "benchmarks.harness.selection",
        "benchmarks.harness.session",
        "benchmarks.machine",
        "benchmarks.paths",
        "benchmarks.regression",
        "benchmarks.scenarios",
        "benchmarks.scenarios.external",
        "results",
        "results.own_code",
        "results.records",
        "results.regression",
        "results.report",
        "results.statistics",
        "results.terminal",
    ),
    "benchmarks.own_code": (
        "benchmarks.harness.launches",
        "benchmarks.harness.measurement",
        "benchmarks.harness.protocol",
        "benchmarks.harness.session",
        "benchmarks.machine",
        "benchmarks.scenarios",
        "results.own_code",
        "results.records",
    ),
    # what pytest and the command line see
    "benchmarks": (
        "benchmarks.cluster",
        "benchmarks.commands",
        "benchmarks.harness.launches",
        "benchmarks.harness.measurement",
        "benchmarks.harness.protocol",
        "benchmarks.harness.selection",
        "benchmarks.harness.session",
        "benchmarks.machine",
        "benchmarks.paths",
        "benchmarks.regression",
        "benchmarks.scenarios",
        "benchmarks.scenarios.external",
        "results",
        "results.records",
        "results.terminal",
    ),
    "benchmarks.evaluation": (
        "benchmarks",  # the parsers, whose options stand on a page
        "benchmarks.harness.launches",
        "benchmarks.harness.protocol",
        "benchmarks.harness.selection",
        "benchmarks.harness.session",
        "benchmarks.harness.worker",
        "benchmarks.machine",
        "benchmarks.paths",
        "benchmarks.regression",  # replayed comparisons are decided by its own functions
        "benchmarks.scenarios",
        "results",
        "results.own_code",
        "results.records",
        "results.regression",
        "results.statistics",
    ),
}


def imported(path: Path) -> Iterator[str]:
    """Yield the dotted name of every module, or of every name in one, that a file imports."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def top_level(path: Path) -> set[str]:
    """Return the top-level packages that a file imports, anywhere in it."""
    return {name.partition(".")[0] for name in imported(path)}


def package_of(module: str) -> str | None:
    """Return the package of `ARROWS` that a module belongs to; None where it is not ours."""
    owners = [name for name in ARROWS if module == name or module.startswith(f"{name}.")]
    return max(owners, key=len, default=None)


def modules(package: str) -> Iterator[Path]:
    """Yield the files of a package that belong to no smaller package of `ARROWS`."""
    path = ROOT / package.replace(".", "/")
    for file in path.rglob("*.py") if path.is_dir() else [path.with_suffix(".py")]:
        name = ".".join(file.relative_to(ROOT).with_suffix("").parts)
        if package_of(name.removesuffix(".__init__")) == package:
            yield file


@pytest.mark.parametrize("package", GROUND)
def test_ground_floor_imports_only_itself(package: str) -> None:
    others = {*GROUND, "benchmarks"} - {package}
    files = list((ROOT / package).rglob("*.py"))
    assert len(files) > 3
    for file in files:
        assert top_level(file) & others == set(), file


@pytest.mark.parametrize("package", ARROWS)
def test_package_imports_only_what_it_may(package: str) -> None:
    files = list(modules(package))
    assert files, f"{package} has no file"
    used = {package_of(name) for file in files for name in imported(file)} - {None, package}
    assert used == set(ARROWS[package])


def test_every_file_belongs_to_a_package_of_the_table() -> None:
    ours = {f for name in ("benchmarks", "results") for f in (ROOT / name).rglob("*.py")}
    assert ours == {file for package in ARROWS for file in modules(package)}


def test_arrows_make_no_circle() -> None:
    placed: set[str] = set()
    while len(placed) < len(ARROWS):
        ready = {name for name, used in ARROWS.items() if set(used) <= placed} - placed
        assert ready, f"a circle among {sorted(set(ARROWS) - placed)}"
        placed |= ready


def test_no_section_of_the_report_imports_another() -> None:
    sections = "results.report.sections"
    files = [file for file in modules("results.report") if file.parent.name == "sections"]
    assert len(files) > 10
    for file in files:
        assert not [name for name in imported(file) if name.startswith(sections)], file


def test_report_orders_the_sizes_that_scenarios_have() -> None:
    assert set(vocabulary.SIZES) == set(SIZES)


def test_nothing_of_the_product_imports_the_evaluation() -> None:
    assert all("benchmarks.evaluation" not in used for used in ARROWS.values())


def test_client_imports_nothing_of_the_suite() -> None:
    files = list((ROOT / "cascade_bench").glob("*.py"))
    assert len(files) > 10
    for file in files:
        assert top_level(file) & {*GROUND, "benchmarks", "tests"} == set(), file


@pytest.mark.parametrize("package", ["results", "benchmarks", "cascade_bench"])
def test_no_framework_is_imported_outside_the_implementations(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        assert top_level(file) & FRAMEWORKS == set(), file


def test_implementations_have_the_same_files_and_builders() -> None:
    names = [{f.name for f in (ROOT / package).glob("*.py")} for package in GROUND[:2]]
    assert names[0] == names[1]
    for name in TWINS:
        torch, jax = (public(ROOT / package / name) for package in GROUND[:2])
        shared = [n for n in torch if n in jax]
        assert shared == [n for n in jax if n in torch], f"{name}: another order"
        assert len(shared) >= len(torch) / 2, name


@pytest.mark.parametrize(
    ("table", "file", "listed"),
    [
        ("STRATEGIES", "strategies.py", cells.STRATEGIES),
        ("RECIPES", "recipes.py", cells.RECIPES),
    ],
)
def test_harness_lists_what_the_implementations_have(
    table: str, file: str, listed: dict[str, tuple[str, ...]]
) -> None:
    for framework, names in listed.items():
        path = ROOT / f"impl_{framework}" / file
        kept = next(
            node.value
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == table
        )
        assert kept is not None
        named = {node.id for node in ast.walk(kept) if isinstance(node, ast.Name)}
        assert named & set(public(path)) == set(names)


def public(path: Path) -> list[str]:
    """Return the public classes and functions of a file, in order."""
    nodes = ast.parse(path.read_text()).body
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [n.name for n in nodes if isinstance(n, kinds) and not n.name.startswith("_")]


@pytest.mark.serial
def test_collecting_imports_no_framework_and_takes_under_two_seconds() -> None:
    script = (
        "import sys, time, pytest; from tests.helpers.machine_speed import slowdown;"
        "start = time.process_time();"
        "code = pytest.main(['benchmarks', '--collect-only', '-q', '-p', 'no:cacheprovider']);"
        "print('SECONDS', (time.process_time() - start) / slowdown());"
        f"print('LOADED', sorted({FRAMEWORKS!r} & set(sys.modules))); sys.exit(code)"
    )

    def read() -> float:
        done = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr
        assert "LOADED []" in done.stdout
        return float(done.stdout.partition("SECONDS ")[2].split()[0])

    assert least_reading(read, bar=2.0) < 2.0
