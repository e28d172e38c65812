"""The house keeps its arrows: who imports whom, and what the controlling process never imports."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness import cells

ROOT = Path(__file__).parents[1]
GROUND = ("impl_torch", "impl_jax", "results")
TWINS = (
    "cascade.py", "alternation.py", "partial_freeze.py", "parameter_groups.py", "strategies.py",
    "recipes.py", "training.py", "session.py", "program.py", "optimizers.py",
    "runtime.py", "canaries.py",
)  # fmt: skip
FRAMEWORKS = {"torch", "jax", "jaxlib", "flax", "optax"}


def imports(path: Path) -> set[str]:
    """The top-level packages that a file imports, anywhere in it."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module.partition(".")[0])
    return found


@pytest.mark.parametrize("package", GROUND)
def test_ground_floor_imports_only_itself(package: str) -> None:
    others = {*GROUND, "benchmarks"} - {package}
    files = list((ROOT / package).glob("*.py"))
    assert len(files) > 3
    for file in files:
        assert imports(file) & others == set(), file.name


@pytest.mark.parametrize("package", ["results", "benchmarks"])
def test_no_framework_is_imported_outside_the_implementations(package: str) -> None:
    for file in (ROOT / package).rglob("*.py"):
        assert imports(file) & FRAMEWORKS == set(), file.name


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
    """Public classes and functions of a file, in order."""
    nodes = ast.parse(path.read_text()).body
    kinds = (ast.FunctionDef, ast.ClassDef)
    return [n.name for n in nodes if isinstance(n, kinds) and not n.name.startswith("_")]


def test_collecting_imports_no_framework_and_takes_under_two_seconds() -> None:
    script = (
        "import sys, time, pytest; start = time.perf_counter();"
        "code = pytest.main(['benchmarks', '--collect-only', '-q', '-p', 'no:cacheprovider']);"
        "print('SECONDS', time.perf_counter() - start);"
        f"print('LOADED', sorted({FRAMEWORKS!r} & set(sys.modules))); sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, cwd=ROOT, check=False
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    assert "LOADED []" in done.stdout
    assert float(done.stdout.partition("SECONDS ")[2].split()[0]) < 2.0
