"""Check what a frozen network still keeps: states that move, draws, weights that are normalized.

The code under test is in ``state_traps.py`` of each implementation. It runs in a worker process
and returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` marks a
silent trap; ``docs/traps.md`` is made from it. That every module of the release with a mode is
among them is held in ``test_whole_kinds.py``.
"""

from __future__ import annotations

from typing import Any

from benchmarks.harness.launches.check_workers import CheckWorkers, assert_raised
from benchmarks.machine import releases

# Modules for which train() and eval() are one.
STILL = (
    "parametrizations.weight_norm", "parametrizations.orthogonal", "weight_norm", "WeightNorm",
    "BatchNorm1d, no statistics",
)  # fmt: skip
# nnx normalizes what the pass before has normalized already: but for rounding the same.
ROUNDED = ("SpectralNorm", "WeightNorm")
# Whether the scales of nnx.WeightNorm are among nnx.Param, by the release of flax.
SCALES = {"0.12": "left out", "0.12.11": "trained"}


def test_train_undoes_eval_of_a_frozen_module(workers: CheckWorkers) -> None:
    """`train()` undoes the `eval()` of what is frozen

    Notice: Run a frozen network twice on one batch: the outputs and its buffers stay the same.

    Instead: Call `eval()` on the frozen part again after each `train()`, or override `train` there.
    People ran into it: [gt-pyg 112](https://github.com/pgniewko/gt-pyg/pull/112).
    """
    torch = workers.demonstrate("torch", "train_undoes_eval")
    jax = workers.demonstrate("jax", "train_undoes_eval")
    for name, result in {**torch, **jax}.items():
        allowed = 1e-5 if name in ROUNDED else 0.0
        in_train = max(result.pop("buffers_moved"), result.pop("passes_apart"))
        assert in_train <= allowed if name in STILL else in_train > 0.01, name
        assert result.keys() == {"eval", "eval_again_after_train"}
        assert max(result.values()) <= allowed, name


def test_synchronized_batch_norm_runs_on_a_cpu_until_there_is_a_group(
    workers: CheckWorkers,
) -> None:
    result = workers.demonstrate("torch", "synchronized_batch_norm_on_a_cpu")
    assert result["no_group"] == {"train": None, "eval": None}
    in_train = result["group_of_one"].pop("train")
    assert_raised(in_train, "ValueError", "expected input tensor to be on GPU")
    assert result["group_of_one"] == {"eval": None}


def test_spectral_norm_of_a_frozen_network_drifts(workers: CheckWorkers) -> None:
    """Spectral normalization in a frozen network

    Notice: Compare the weight that it computes with before and after some forward passes.

    Instead: `eval()` for the frozen network; `no_grad` does not help. People ran into it: [pytorch
    55368](https://github.com/pytorch/pytorch/issues/55368).
    """
    torch = workers.demonstrate("torch", "spectral_norm_of_a_frozen_network")
    jax = workers.demonstrate("jax", "spectral_norm_of_a_frozen_network")
    moved = {way: one["weight_moved"] for way, one in {**torch, **jax}.items()}
    for way in ("spectral_norm_train", "spectral_norm_train_no_grad", "SpectralNorm_train"):
        assert moved[way] > 0.1
    for way in ("train", "train_no_grad"):
        assert moved[f"parametrizations.spectral_norm_{way}"] > 1e-3
    for form in ("spectral_norm", "parametrizations.spectral_norm"):
        assert moved[f"{form}_eval"] == 0.0
    for way in ("eval", "update_stats_false"):
        assert moved[f"SpectralNorm_{way}"] < 1e-5


def test_normalization_is_written_into_a_frozen_parameter_of_nnx(workers: CheckWorkers) -> None:
    """A normalized weight, written into the frozen parameter

    Notice: In nnx the parameters of a frozen network are not those of its checkpoint after one
    forward pass, in `eval()` too. In torch they are.

    Instead: Keep `nnx.state(frozen, nnx.Param)` before, and put it back with `nnx.update` after
    each pass. People ran into it: [flax 5576](https://github.com/google/flax/issues/5576).
    """
    torch = workers.demonstrate("torch", "normalization_of_a_frozen_parameter")
    jax = workers.demonstrate("jax", "normalization_of_a_frozen_parameter")
    for name, ways in jax.items():
        called = ways.pop("called")
        assert called["first_pass"] > 0.1, name
        assert called["further_passes"] < 1e-5, name
        assert ways.keys() == {"put_back", "jax.jit"}
        assert {moved for way in ways.values() for moved in way.values()} == {0.0}
    assert len(torch) == 4
    assert {moved for form in torch.values() for moved in form.values()} == {0.0}


def test_scales_of_weight_norm_are_trained_where_they_are_parameters(workers: CheckWorkers) -> None:
    def scales(result: dict[str, Any]) -> set[str]:
        return {"trained" if form["scales_trained"] else "left out" for form in result.values()}

    torch = workers.demonstrate("torch", "scales_of_a_normalized_weight")
    jax = workers.demonstrate("jax", "scales_of_a_normalized_weight")
    assert len(torch) == 2
    assert scales(torch) == {"trained"}
    assert scales(jax) == {releases.reading("flax", SCALES)}


def test_plain_jit_repeats_the_mask_of_dropout(workers: CheckWorkers) -> None:
    """Plain `jax.jit` over an nnx model repeats the mask of its Dropout

    Notice: Run one batch twice in train mode: the outputs are equal, bit for bit.

    Instead: `nnx.jit`. Or return the module's state, and put it back with `nnx.update`. torch draws
    from a generator outside of the module. People ran into it: [flax
    4539](https://github.com/google/flax/issues/4539).
    """
    torch = workers.demonstrate("torch", "dropout_drawn_twice")
    jax = workers.demonstrate("jax", "dropout_drawn_twice")
    assert torch.keys() == {"Dropout", "MultiheadAttention"}
    for ways in torch.values():
        assert min(way["passes_apart"] for way in ways.values()) > 0.01
    for ways in jax.values():
        assert ways.pop("jax.jit") == {"passes_apart": 0.0}
        assert ways.keys() == {"no jit", "nnx.jit", "jax.jit, state returned"}
        assert min(way["passes_apart"] for way in ways.values()) > 0.01
