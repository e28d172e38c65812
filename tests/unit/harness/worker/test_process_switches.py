"""What a user's code may switch in its process is seen: of Python, of torch, of JAX."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest

from benchmarks.harness.launches.own_code_notes import sentence
from benchmarks.harness.worker import process_switches
from benchmarks.paths import ROOT

# code that switches one thing → the name under which it is seen
TORCH = {
    "torch.autograd.set_detect_anomaly(True)": "torch's anomaly detection",
    "torch.set_grad_enabled(False)": "torch's gradients",
    "torch.set_default_dtype(torch.float64)": "torch's default dtype",
    "torch.set_default_device('meta')": "torch's default device",
    "torch._C._set_deterministic_algorithms(True)": "torch's deterministic algorithms",
    "torch.set_num_threads(1 + torch.get_num_threads())": "torch's threads",
    "torch._C._set_multithreading_enabled(False)": "torch's threads in backward",
    "cast = torch.autocast('cpu'); cast.__enter__()": "torch's autocast on the CPU",
    "torch.set_float32_matmul_precision('medium')": "torch's float32 precision of products",
    "torch.backends.fp32_precision = 'tf32'": "torch's float32 precision",
    "torch.backends.mkldnn.enabled = False": "torch's oneDNN",
    "torch.backends.cudnn.benchmark = True": "torch's cuDNN benchmark",
    "torch.backends.cudnn.deterministic = True": "torch's deterministic cuDNN",
    "torch.backends.opt_einsum.enabled = False": "torch's opt_einsum",
    "torch.backends.cuda.enable_flash_sdp(False)": "torch's flash attention",
    "torch.autograd.graph.save_on_cpu().__enter__()": "torch's hooks on saved tensors",
    "nn.modules.module.register_module_forward_hook(print)": "torch's hooks on all modules",
    "nn.Module.__call__ = lambda *a: None": "Module.__call__",
    "torch.Tensor.backward = print": "Tensor.backward",
    "torch.optim.Adam.step = print": "Adam.step",
    "nn.functional.linear = print": "torch.nn.functional.linear",
    "torch.set_flush_denormal(True)": "the arithmetic of numbers near 0",
    "guard = torch.inference_mode(); guard.__enter__()": "torch's inference mode",
}
JAX = {
    "jax.config.update('jax_enable_x64', True)": "jax_enable_x64",
    "jax.config.update('jax_debug_nans', True)": "jax_debug_nans",
    "jax.config.update('jax_debug_infs', True)": "jax_debug_infs",
    "jax.config.update('jax_disable_jit', True)": "jax_disable_jit",
    "jax.config.update('jax_default_matmul_precision', 'bfloat16')": "jax_default_matmul_precision",
    "jax.config.update('jax_default_device', jax.devices()[0])": "jax_default_device",
    "jax.config.update('jax_default_prng_impl', 'rbg')": "jax_default_prng_impl",
    "jax.config.update('jax_threefry_partitionable', False)": "jax_threefry_partitionable",
    "jax.config.update('jax_numpy_rank_promotion', 'raise')": "jax_numpy_rank_promotion",
    "jax.config.update('jax_numpy_dtype_promotion', 'strict')": "jax_numpy_dtype_promotion",
    "jax.config.update('jax_enable_checks', True)": "jax_enable_checks",
    "jax.config.update('jax_check_tracer_leaks', True)": "jax_check_tracer_leaks",
    "jax.config.update('jax_log_compiles', True)": "jax_log_compiles",
    "jax.config.update('jax_disable_most_optimizations', True)": "jax_disable_most_optimizations",
    "jax.config.update('jax_transfer_guard', 'log')": "jax_transfer_guard",
    "jax.config.update('jax_enable_compilation_cache', False)": "jax_enable_compilation_cache",
    "guard = jax.debug_nans(True); guard.__enter__()": "jax_debug_nans",
    "jax.jit = lambda f: f": "jax.jit",
    "jax.numpy.dot = print": "jax.numpy.dot",
    "nnx.Linear.__call__ = print": "Linear.__call__",
}
# In one process, since a framework takes seconds to load. torch's switches stay as they are: only
# what each piece of code adds is looked at.
SCRIPT = """
import json, sys
from impl_{framework} import runtime, switches
from benchmarks.harness.worker import process_switches as process
{imports}
def read():
    return {{**switches.read(), **process.read()}}
seen = {{}}
for code in json.load(sys.stdin):
    before = read()
    exec(code)
    seen[code] = [name for name, *_ in process.changed(before, read())]
    if code.startswith("guard = jax"):
        guard.__exit__(None, None, None)
    for name, earlier, _ in process.changed(before, read()):
        if name.startswith("jax_"):
            jax.config.update(name, earlier)
print(json.dumps(seen))
"""
# torch itself puts its profiling around the step of an optimizer's class: nobody switched that
QUIET = {"torch": ["torch.optim.Adam([nn.Parameter(torch.ones(1))])"], "jax": []}
IMPORTS = {"torch": "import torch\nfrom torch import nn", "jax": "import jax\nfrom flax import nnx"}


@pytest.mark.parametrize(("framework", "codes"), [("torch", TORCH), ("jax", JAX)])
def test_every_switch_is_seen_under_its_name_and_no_other(
    framework: str, codes: dict[str, str]
) -> None:
    script = SCRIPT.format(framework=framework, imports=IMPORTS[framework])
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", script],
        input=json.dumps([*QUIET[framework], *codes]),
        capture_output=True,
        text=True,
        cwd=ROOT,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout.splitlines()[-1])
    assert len(codes) >= 15
    assert [seen.pop(code) for code in QUIET[framework]] == [[] for _ in QUIET[framework]]
    assert {code: name for code, name in codes.items() if name not in seen[code]} == {}
    several = ("set_float32_matmul_precision", "set_default_device", "fp32_precision")
    alone = {c: n for c, n in seen.items() if not any(word in c for word in several)}
    assert {code: names for code, names in alone.items() if len(names) != 1} == {}


@pytest.fixture
def put_back() -> Any:
    """Put back what the codes below switch."""
    interval, cores = sys.getswitchinterval(), os.sched_getaffinity(0)
    yield
    sys.setprofile(None)
    sys.setswitchinterval(interval)
    os.sched_setaffinity(0, cores)


@pytest.mark.parametrize(
    ("switch", "name"),
    [
        (lambda patch: sys.setprofile(lambda *_: None), "Python's profile function"),
        (lambda patch: sys.setswitchinterval(0.1), "Python's switch interval"),
        (lambda patch: patch.setattr(time, "perf_counter", lambda: 0.0), "time.perf_counter"),
        (lambda patch: patch.setattr(time, "sleep", lambda _: None), "time.sleep"),
        (lambda patch: patch.setenv("OMP_NUM_THREADS", "1"), "OMP_NUM_THREADS"),
        (lambda patch: patch.setenv("XLA_FLAGS", "--xla_cpu_use_thunk=no"), "XLA_FLAGS"),
    ],
)
def test_switch_of_the_process_is_seen(
    monkeypatch: pytest.MonkeyPatch, put_back: None, switch: Callable[[Any], Any], name: str
) -> None:
    before = process_switches.read()
    switch(monkeypatch)
    assert [one for one, *_ in process_switches.changed(before, process_switches.read())] == [name]


def test_variable_that_no_library_reads_is_no_switch(monkeypatch: pytest.MonkeyPatch) -> None:
    before = process_switches.read()
    monkeypatch.setenv("MY_OWN", "1")
    assert process_switches.changed(before, process_switches.read()) == []


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        (False, True, "net_torch.py switched X on: its own times and gradients are taken so"),
        (True, False, "net_torch.py switched X off: its own"),
        (2, 1, "net_torch.py changed X from 2 to 1: its own"),
        ("not set", "1", "net_torch.py changed X from not set to 1: its own"),
    ],
)
def test_sentence_names_the_file_and_the_switch(before: Any, after: Any, said: str) -> None:
    change: Any = {"switch": "X", "before": before, "after": after}
    assert sentence("net_torch.py", change).startswith(said)
