"""Check what several losses do to an optimizer that steps inside the backward pass.

The code under test is in ``stepping_traps.py`` of each implementation. It runs in a worker process
and returns plain data, which is judged here. A docstring with ``Notice:`` and ``Instead:`` marks a
silent trap; ``docs/traps.md`` is made from it. That every optimizer of the release is among them is
held in ``test_whole_kinds.py``.
"""

from __future__ import annotations

from benchmarks.harness.launches.check_workers import CheckWorkers, assert_raised

# Optimizer → its steps with the sum, and with a pass for each loss, where there are not 8 and 12.
STEPS = {"Muon": (4, 6), "SparseAdam": (1, 2)}
# Their step is the gradient times a number: two steps are nearly the step of the sum.
BY_THE_GRADIENT = ("SGD", "ASGD", "fused SGD", "sgd", "polyak_sgd", "noisy_sgd")
# An embedding's backward pass does not read its weight, so that no error tells of the change.
SILENT = ("fused SGD", "fused Adam", "fused AdamW", "fused Adagrad", "SparseAdam")


def test_step_inside_the_backward_pass_steps_once_for_each_loss(workers: CheckWorkers) -> None:
    """A step inside the backward pass, and several losses

    Notice: Count the steps: 8 parameters and two losses make 12, where 8 were meant.

    Instead: One backward pass of the summed loss. People ran into it: [pytorch
    124523](https://github.com/pytorch/pytorch/issues/124523), [GaLore
    78](https://github.com/jiaweizzhao/GaLore/issues/78).
    """
    torch = workers.demonstrate("torch", "steps_inside_the_backward_pass")
    jax = workers.demonstrate("jax", "steps_inside_the_backward_pass")
    for name, one in torch.items():
        assert (one["steps_summed"], one["steps_separate"]) == STEPS.get(name, (8, 12)), name
        assert one["move_off"] > (1e-4 if name in BY_THE_GRADIENT else 0.2), name
        if name in SILENT:
            assert one["retained_raised"] is None, name
        else:
            assert_raised(one["retained_raised"], "RuntimeError", "modified by an inplace")
    for name in ("Adam", "AdamW", "Adamax", "RMSprop", "Adagrad", "Muon", "LBFGS", "SparseAdam"):
        assert torch[name]["move_off"] > 0.5, name
    for name in ("fused Adam", "SparseAdam"):
        assert torch[name]["retained_off"] > 0.5, name
    for name, one in jax.items():
        assert one["move_off"] > (0.01 if name in BY_THE_GRADIENT else 0.05), name
