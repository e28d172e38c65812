"""`cascade-bench try` of a file with both frameworks: what stops it, and one that is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.paths import ROOT
from tests.helpers.other_environments import FRAMEWORKS, execute

pytestmark = pytest.mark.slow
CASES = "from dataclasses import replace\nfrom tests.helpers.own_cases.both_cases import "


@pytest.mark.parametrize(
    ("text", "code", "says"),
    [
        (
            f"{CASES}torch_epsilon as torch_case, jax_epsilon as jax_case\n",
            1,
            "torch and JAX do not compute the same: from the same weights the loss 'code' is",
        ),
        (
            f"{CASES}torch_tree as torch_case, jax_tree\n\n"
            "def jax_case():\n    return replace(jax_tree(), weights=None)\n",
            2,
            "case.py:4: the JAX parameter cell.b [8] may be torch's cell.ih.bias or cell.hh.bias; "
            "give the JAX case weights=lambda w: {'cell.b': w['cell.ih.bias']}",
        ),
        (
            f"{CASES}torch_tree as torch_case, jax_tree\n\n"
            "def jax_case():\n"
            "    return replace(jax_tree(), weights=lambda w: {'cell.w': w['cell.wieght']})\n",
            2,
            "case.py:5: weights asks for 'cell.wieght', which the torch case does not have; write",
        ),
    ],
)
def test_what_cannot_be_compared_is_one_line_and_is_not_timed(
    tmp_path: Path, text: str, code: int, says: str
) -> None:
    (tmp_path / "case.py").write_text(text)
    words = ("try", str(tmp_path / "case.py"), "--results", str(tmp_path / "kept"))
    done = execute("cascade_bench.cli", *words, cwd=ROOT)
    assert done.returncode == code, done.stdout + done.stderr
    assert says in " ".join((done.stdout + done.stderr).split())
    assert "phase backward" not in done.stderr


@pytest.mark.parametrize("missing", ["torch", "jax"])
def test_without_one_framework_the_other_is_measured(tmp_path: Path, missing: str) -> None:
    (tmp_path / "both.py").write_text((ROOT / "examples" / "both_frameworks.py").read_text())
    words = ["try", str(tmp_path / "both.py"), "--results", str(tmp_path / "kept"), "--launches=1"]
    words += ["--phase=gradient", "--way=separate_retained"]
    done = execute("cascade_bench.cli", *words, without=FRAMEWORKS[missing])
    assert done.returncode == 0, done.stdout + done.stderr
    other = {"torch": "jax", "jax": "torch"}[missing]
    said = " ".join(done.stdout.split())
    assert f"{other}: 2 ways give the right gradients. Left out: {missing} is not installed" in said
    assert "JAX ÷ torch" not in said
