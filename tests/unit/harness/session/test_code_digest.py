"""The digest of the code that a time depends on leaves no folder and no change out."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.harness.session import resume
from benchmarks.paths import ROOT

# The folders that the code of a worker lies in, and of what starts, asks and times it.
MEASURED_BY = sorted(
    str(path.parent.relative_to(ROOT))
    for package in (
        *("impl_torch", "impl_jax", "benchmarks/scenarios", "benchmarks/harness/protocol"),
        *(f"benchmarks/harness/{name}" for name in ("worker", "launches", "measurement")),
    )
    for path in (ROOT / package).rglob("__init__.py")
)


@pytest.fixture
def copied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a folder of one file for each folder of `MEASURED_BY`, which is digested."""
    for folder in MEASURED_BY:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
        (tmp_path / folder / "code.py").write_text("a = 1")
    monkeypatch.setattr(resume, "ROOT", tmp_path)
    return tmp_path


@pytest.mark.parametrize("folder", MEASURED_BY)
def test_digest_is_another_after_any_change_in_any_folder(copied: Path, folder: str) -> None:
    path, deeper = copied / folder / "code.py", copied / folder / "further"
    digests = [resume.code_digest([])]
    path.write_text("a = 2")
    digests.append(resume.code_digest([]))
    (copied / folder / "new.py").write_text("")
    digests.append(resume.code_digest([]))
    deeper.mkdir()
    path.rename(deeper / "code.py")
    digests.append(resume.code_digest([]))
    (deeper / "code.py").unlink()
    digests.append(resume.code_digest([]))
    assert len(set(digests)) == len(digests)


def test_worker_runs_no_code_that_the_digest_leaves_out() -> None:
    listing = (
        "import sys, benchmarks.harness.worker.__main__, benchmarks.harness.worker.server;"
        "print(*(m.__file__ for m in sys.modules.values() if getattr(m, '__file__', None)),"
        "sep='\\n')"
    )
    done = subprocess.run(
        [sys.executable, "-c", listing], cwd=ROOT, capture_output=True, text=True, check=True
    )
    own = [Path(line) for line in done.stdout.splitlines()]
    own = [p.relative_to(ROOT) for p in own if p.is_relative_to(ROOT) and p.name != "__init__.py"]
    own = [path for path in own if path.parts[0] != ".venv"]
    assert len(own) > 10
    assert [str(p) for p in own if not str(p).startswith(resume.MEASURING)] == []


def test_digest_is_another_after_a_change_in_what_a_spec_or_its_part_imports_from_beside(
    copied: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "mine"
    texts = {
        "net.py": "import numpy as np\nfrom sizes import WIDTH\n",
        "net_torch.py": "import torch\nfrom blocks.dense import Block\n",
        "sizes.py": "WIDTH = 4\n",
        "blocks/__init__.py": "",
        "blocks/dense.py": "from . import units\nimport helper\n",
        "blocks/units.py": "",
        "helper.py": "import sizes, no_file_of_this_name\n",
        "beside.py": "WIDTH = 5\n",
    }
    (folder / "blocks").mkdir(parents=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
    digest = resume.digest_of([folder / "net.py"])
    changing = set()
    for name, text in texts.items():
        (folder / name).write_text(f"{text}# changed\n")
        if resume.digest_of([folder / "net.py"]) != digest:
            changing.add(name)
        (folder / name).write_text(text)
    assert changing == set(texts) - {"beside.py"}
    (folder / "net_torch.py").write_text("def broken(:")
    assert resume.digest_of([folder / "net.py"]) != digest
