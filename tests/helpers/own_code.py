"""A document of a compared case, as a suite would leave it, and a stand-in for that suite."""

from __future__ import annotations

from pathlib import Path
from typing import Any

# A module of the suite that takes the place of `benchmarks.own_code`: it reads the request, and
# does as the case's "file" says.
FAKE_SUITE = """
import json, os, signal, sys, time
from pathlib import Path

request = json.loads(Path(sys.argv[1]).read_text())
Path(os.environ["FAKE_SEEN"]).write_text(json.dumps({
    "request": request, "path": os.environ.get("PYTHONPATH", ""), "sys_path": sys.path,
    "inside": os.environ.get("CASCADE_BENCH_INSIDE"), "pid": os.getpid(),
    "modes": [oct(os.stat(p).st_mode & 0o777) for p in (Path(sys.argv[1]).parent,)],
}))
does = os.environ.get("FAKE_DOES", "answers")
document = json.loads(Path(os.environ["FAKE_DOCUMENT"]).read_text())
if does == "dies":
    sys.exit("Traceback: no such luck")
if does == "waits":
    try:
        print("reading the case", file=sys.stderr, flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        document["exit_code"] = 130
        Path(os.environ["FAKE_SEEN"] + ".stopped").touch()
else:
    print("reading the case", file=sys.stderr, flush=True)
if does == "refuses":
    document = {"exit_code": 2, "error": {"file": "c.py", "line": 3, "message": "no scalar",
                "mend": "take the mean"}, "frameworks": []}
Path(request["document"]).write_text(json.dumps(document))
sys.exit(document["exit_code"])
"""


def example_document() -> dict[str, Any]:
    """Return the document of an encoder and a head in torch, and of a JAX side that fails."""
    return {
        "schema": 1,
        "kind": "own_code",
        "case": {"name": "my_case.py:make", "file": "my_case.py", "line": 12},
        "date": "2026-11-27T01:00:00",
        "machine": {"cpu": "a processor", "cores": 2, "gpu": None},
        "seconds": 41.2,
        "answer": "Sum the losses: separate_retained takes 1.32 times as long.",
        "exit_code": 0,
        "error": None,
        "frameworks": [_torch()],
    }


def _torch() -> dict[str, Any]:
    """Return the part of torch: three ways, one of which cannot exist."""
    return {
        "framework": "torch",
        "version": "2.13.0",
        "mode": "eager",
        "device": "cpu",
        "dtype": "float32",
        "networks": {
            "encoder": {
                "parameters": 1234, "tensors": 4, "frozen": ["encoder.0.weight"], "tied": [],
            },
            "head": {
                "parameters": 99, "tensors": 2, "frozen": [],
                "tied": [["head.weight", "encoder.emb.weight"]],
            },
        },
        "losses": ["code", "task"],
        "flow": {
            "code": {"encoder": "value", "head": "absent"},
            "task": {"encoder": "value", "head": "value"},
        },
        "reference": {"dtype": "float64", "central_difference_error": 1.2e-8, "note": None},
        "notes": ["Dropout drawn from the same seed before each forward pass"],
        "rows": [
            row("summed", 1.0, verdict=None, code="sum(losses.values()).backward()"),
            row("separate_retained", 1.32, code="for loss in losses:\n    loss.backward()"),
            row("separate_retained", 1.11, phase="gradient"),
            row("boundary_split", None, outcome="unsupported", why="the case has no stages"),
            row("requires_grad_false", 0.6, kind="freeze", phase="step", verdict="faster"),
        ],
    }  # fmt: skip


def row(way: str, ratio: float | None, **changes: Any) -> dict[str, Any]:
    """Return a row with this ratio to ``summed``, which takes 2 ms; None for one without a time."""
    figures: dict[str, Any] = {"seconds": None, "ratio": None, "predicted_ratio": None}
    if ratio is not None:
        seconds, close = 2e-3 * ratio, {"confidence": 0.95, "launches": 6}
        figures = {
            "seconds": {"estimate": seconds, "low": seconds * 0.98, "high": seconds * 1.03},
            "ratio": {"estimate": ratio, "low": ratio - 0.02, "high": ratio + 0.03, **close},
            "predicted_ratio": ratio * 1.01,
        }
    timed = ratio is not None
    return {
        "kind": "backward",
        "way": way,
        "baseline": "summed",
        "phase": "backward",
        "outcome": "ok",
        "equivalence": "pass" if timed else None,
        "gradient_error": 3e-7 if timed else None,
        "verdict": "slower" if timed else None,
        "flops": 1e9 if timed else None,
        "residual_bytes": 4096 if timed else None,
        "code": None,
        **figures,
        **changes,
    }


def write_fake_suite(folder: Path) -> Path:
    """Write a folder that passes for the suite's, with a stand-in for `benchmarks.own_code`."""
    package = folder / "suite" / "benchmarks"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "cli.py").touch()
    (package / "own_code.py").write_text(FAKE_SUITE)
    return package.parent


def example_of_both() -> dict[str, Any]:
    """Return the document of a file with a side in torch and one in JAX, which agree."""
    document = example_document()
    close = {"confidence": 0.95, "launches": 6}
    rows = [
        {
            "kind": "backward", "phase": phase, "way": "summed", "jax_way": "summed",
            "ratio": {"estimate": ratio, "low": ratio * 0.8, "high": ratio * 1.25, **close},
            "verdict": verdict,
        }
        for phase, ratio, verdict in (("backward", 0.5, "faster"), ("gradient", 0.9, "not told"))
    ]  # fmt: skip
    freeze = {"kind": "freeze", "phase": "step", "way": "detach", "jax_way": "stop_gradient"}
    pair = {
        "weights": [
            ["head.bias", "as it is", "head.bias"],
            *([f"head.k{i}", "transposed", f"head.w{i}"] for i in range(6)),
        ],
        "batch": ["x"],
        "loss_error": 0.0,
        "gradient_error": 2.5e-15,
        "gradient_of": "head.w1",
        "allowed": 1e-9,
        "problem": None,
        "rows": [*rows, rows[0] | freeze | {"verdict": "slower"}],
    }
    jax = _torch() | {"framework": "jax", "version": "0.10.2", "mode": "jit"}
    frameworks = [*document["frameworks"], jax]
    return document | {"frameworks": frameworks, "pair": pair, "absent": []}
