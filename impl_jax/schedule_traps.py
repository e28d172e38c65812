"""Demonstrate the traps of learning-rate schedules where a part is unfrozen later, in optax.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_schedule_traps.py`` judges them.
"""

from __future__ import annotations

from typing import Any

import jax.numpy as jnp
import optax
import optax.contrib

LR, BEFORE, AFTER = 0.1, 4, 4  # the rate at first; steps before the unfreeze, and after it
HALVED = optax.exponential_decay(LR, transition_steps=1, decay_rate=0.5)
SCHEDULES: dict[str, optax.Schedule] = {
    "constant_schedule": optax.constant_schedule(LR),
    "exponential_decay": HALVED,
    "cosine_decay_schedule": optax.cosine_decay_schedule(LR, decay_steps=10),
    "linear_schedule": optax.linear_schedule(LR, 0.01, transition_steps=10),
    "polynomial_schedule": optax.polynomial_schedule(LR, 0.01, power=2, transition_steps=10),
    "piecewise_constant_schedule": optax.piecewise_constant_schedule(LR, {2: 0.5, 5: 0.5}),
    "piecewise_interpolate_schedule": optax.piecewise_interpolate_schedule(
        "linear", LR, {2: 0.5, 9: 0.5}
    ),
    "cosine_onecycle_schedule": optax.cosine_onecycle_schedule(12, LR),
    "linear_onecycle_schedule": optax.linear_onecycle_schedule(12, LR),
    "warmup_constant_schedule": optax.warmup_constant_schedule(0.01, LR, warmup_steps=7),
    "warmup_cosine_decay_schedule": optax.warmup_cosine_decay_schedule(0.01, LR, 2, 12),
    "warmup_exponential_decay_schedule": optax.warmup_exponential_decay_schedule(
        0.01, LR, 2, transition_steps=1, decay_rate=0.5
    ),
    "sgdr_schedule": optax.sgdr_schedule(
        [{"init_value": 0.01, "peak_value": LR, "warmup_steps": 2, "decay_steps": 12}]
    ),
    "join_schedules": optax.join_schedules(
        [optax.constant_schedule(LR), optax.constant_schedule(0.01)], [6]
    ),
}
# What holds a rate that changes, and counts in a state of its own.
HOLDERS: dict[str, Any] = {
    "scale_by_schedule": optax.scale_by_schedule(lambda step: -HALVED(step)),
    "inject_hyperparams": optax.inject_hyperparams(optax.sgd)(learning_rate=HALVED),
    "inject_stateful_hyperparams": optax.inject_stateful_hyperparams(optax.sgd)(
        learning_rate=HALVED
    ),
    "reduce_on_plateau": optax.chain(
        optax.scale(-LR), optax.contrib.reduce_on_plateau(factor=0.5, patience=1)
    ),
}
DECLARED = {  # name → why nothing is shown for it
    "schedule_free": "averages the weights in place of a schedule, around another optimizer",
    "schedule_free_adamw": "averages the weights in place of a schedule",
    "schedule_free_sgd": "averages the weights in place of a schedule",
    "schedule_free_eval_params": "reads the averaged weights",
}


def group_added_at_the_unfreeze() -> dict[str, Any]:
    """Build the optimizer anew when a part is unfrozen, and go on.

    A schedule counts its steps in the optimizer's state, so a new state starts it again, for the
    part that had been training too. The table shows the rate after 4 further steps, over that of a
    schedule whose optimizer was built once: one partition for the groups, one schedule behind it.
    """
    results = {}
    scaled = {name: optax.scale_by_learning_rate(one) for name, one in SCHEDULES.items()}
    for name, holder in {**scaled, **HOLDERS}.items():
        anew, once = _rate(holder, rebuilt=True), _rate(holder, rebuilt=False)
        results[name] = {"anew_over_once": anew / once}
    return results


def schedulers_of_this_release() -> dict[str, Any]:
    """Return the names of all that changes a rate in optax, of those shown, and those declared.

    They are all functions of ``optax.schedules``, and those of ``optax`` and ``optax.contrib`` that
    are named after a schedule or a plateau.
    """
    named = {
        name
        for name, value in (vars(optax) | vars(optax.contrib)).items()
        if callable(value) and ("schedule" in name or "plateau" in name)
    }
    own = {n for n, value in vars(optax.schedules).items() if n[0].islower() and callable(value)}
    return {
        "found": sorted(named | own),
        "shown": sorted({**SCHEDULES, **HOLDERS}),
        "declared": DECLARED,
    }


def _rate(holder: Any, *, rebuilt: bool) -> float:
    """Return the rate of the last of all steps: how far a gradient of 1 moves net1."""
    gradient = {"net1": jnp.ones(()), "net2": jnp.ones(())}
    zero, keep = optax.set_to_zero(), optax.identity()

    def build(net1: str) -> optax.GradientTransformationExtraArgs:
        parts = optax.partition({"off": zero, "on": keep}, {"net1": net1, "net2": "on"})
        return optax.chain(parts, holder)

    optimizer = build("off")
    state = optimizer.init(gradient)
    for step in range(BEFORE + AFTER):
        if step == BEFORE:
            optimizer = build("on")
            fresh = optimizer.init(gradient)
            state = fresh if rebuilt else (fresh[0], state[1])  # the schedule's count is kept
        updates, state = optimizer.update(gradient, state, gradient, value=jnp.ones(()))
    return -float(updates["net1"])
