"""One file of the user's switches all that it can; another's figures are those of a run alone."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from benchmarks.paths import ROOT
from results.records.record import Record
from tests.helpers.external_scenarios import write
from tests.helpers.fake_sessions import only_run
from tests.unit.harness.worker.test_process_switches import IMPORTS, JAX, TORCH

# Switches that would end the file's own measurement; all that they show is shown by others too.
FATAL: dict[str, tuple[str, ...]] = {
    "torch": (
        "meta", "inference_mode", "Module.__call__", "backward = ", "linear = ", "set_grad_enabled",
    ),
    "jax": (
        "jax_disable_jit", "jax_log_compiles", "jax.jit", "dot = ", "__call__", "rank_promotion",
        "dtype_promotion", "tracer_leaks", "transfer_guard", "jax_enable_x64", "infs",
        "default_device", "matmul_precision",
    ),
}  # fmt: skip
# the process itself, and the files that it is connected with
PROCESS = """
import gc, os, sys, time, warnings
os.environ["OMP_NUM_THREADS"] = "1"
time.perf_counter = lambda: 0.0
gc.disable()
sys.setswitchinterval(0.5)
sys.stdin.read()
warnings.simplefilter("ignore")
os.umask(0o077)
"""
# what the other file finds, whenever its networks are built
FOUND = """
def note():
    import json, os
    from impl_{framework} import switches
    from benchmarks.harness.worker import process_switches
    found = {{**switches.read(), **process_switches.read(), "umask": os.umask(0o022)}}
    found.pop("jax_compilation_cache_dir", None)  # a folder of this session
    with open(os.environ["FOUND"], "a") as file:
        file.write(json.dumps(found) + "\\n")
note()
"""


def switching(framework: str) -> str:
    """Return code that switches in a framework what a file can switch and still be measured."""
    codes, fatal = {"torch": TORCH, "jax": JAX}[framework], FATAL[framework]
    chosen = [code for code in codes if not any(word in code for word in fatal)]
    assert len(chosen) >= (15 if framework == "torch" else 7)
    return "\n".join((PROCESS, IMPORTS[framework], *chosen, ""))


def measure(folder: Path, *files: Path, **variables: str) -> tuple[str, dict[str, Record]]:
    """Measure one strategy of these files; return the output and the records by scenario."""
    paths = [argument for file in files for argument in ("--scenario-path", str(file))]
    command = [sys.executable, "-m", "pytest", "benchmarks", "-p", "no:cacheprovider"]
    command += ["--benchmark-only", "--launches=2", "--strategy=summed", "--phase=gradient"]
    command += ["--kind=backward", f"--results={folder}", *paths]
    done = subprocess.run(
        command, cwd=ROOT, env=os.environ | variables, capture_output=True, text=True, check=False
    )
    assert "run saved:" in done.stdout, done.stdout[-3000:] + done.stderr
    return done.stdout, {
        f"{one['scenario']} {one['framework']}": one for one in only_run(folder).records
    }


@pytest.mark.serial
def test_what_one_file_switches_changes_no_figure_of_another(tmp_path: Path) -> None:
    parts: Any = ("torch", "jax")
    twin, loud, calm = (
        write(tmp_path, name, parts=parts) for name in ("aa_calm", "loud", "zz_calm")
    )
    for framework in parts:
        for name, code in (
            ("loud", switching(framework)), ("zz_calm", FOUND.format(framework=framework))
        ):  # fmt: skip
            part = tmp_path / f"{name}_{framework}.py"
            part.write_text(f"{code}\n{part.read_text()}")
    _, alone = measure(tmp_path / "alone", calm, FOUND=str(tmp_path / "found_alone"))
    said, both = measure(tmp_path / "both", twin, loud, calm, FOUND=str(tmp_path / "found_both"))

    found = [
        sorted(set((tmp_path / name).read_text().splitlines()))
        for name in ("found_alone", "found_both")
    ]
    assert found[0] == found[1]
    assert len(json.loads(found[0][0])) > 40
    for framework in parts:
        calm_alone, calm_beside = alone[f"zz_calm {framework}"], both[f"zz_calm {framework}"]
        assert calm_alone["outcome"] == calm_beside["outcome"] == "ok"
        assert calm_alone["gradient_error"] == calm_beside["gradient_error"]
        assert "notes" not in calm_beside
        assert calm_alone["seconds"]
        # of the same session: the machine may be slower in another one
        same = (both[f"aa_calm {framework}"], calm_beside)
        times = [one["seconds"]["estimate"] for one in same if one["seconds"]]
        assert len(times) == 2
        assert max(times) < 2.0 * min(times)  # anomaly detection alone takes six times as long
        # where its own gradients are too coarse by it, the other part's switches are told too
        notes = both[f"loud {framework}"]["notes"]
        assert sum(note.startswith(f"loud_{framework}.py ") for note in notes) >= 7
        assert all(note.startswith("loud_") for note in notes)
    assert said.count("note: loud_torch.py switched torch's anomaly detection on:") == 1
    assert said.count("note: loud_jax.py switched jax_debug_nans on:") == 1
