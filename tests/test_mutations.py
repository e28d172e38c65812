"""Faults seeded into a copy of the implementations: each must turn a check red, and that one.

A check that stays green whatever is broken proves nothing. Each row is a fault somebody makes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("benchmarks", "impl_torch", "impl_jax", "results")

EQUIVALENCE, RECIPES, TRAINING = "test_equivalence", "test_recipes", "test_training"
COUNTS = "test_counts"

# name: (file, what stands there, what is put in its place, scenario, file and name of the check
# that must turn red)
FAULTS = {
    "detach_dropped": (
        "impl_torch/cascade.py",
        "enter = cut if stop_before_net2 else as_it_is",
        "enter = as_it_is",
        "three_network_cascade",
        EQUIVALENCE,
        "test_flow_is_as_declared_per_loss",
    ),
    "retain_graph_dropped": (
        "impl_torch/strategies.py",
        "loss.backward(retain_graph=True)",
        "loss.backward()",
        "linear_cascade",
        EQUIVALENCE,
        "test_every_strategy_gives_the_reference",
    ),
    "transposed_kernel_not_flipped": (
        "impl_jax/cascade.py",
        '1, 1, (2, 2, 2), padding="VALID", transpose_kernel=True',
        '1, 1, (2, 2, 2), padding="VALID", transpose_kernel=False',
        "conv_cascade",
        EQUIVALENCE,
        "test_float64_references_agree_between_frameworks",
    ),
    "one_loss_left_out_of_the_sum": (
        "impl_torch/strategies.py",
        "reduce(add, losses.values()).backward()",
        "list(losses.values())[-1].backward()",
        "linear_cascade",
        EQUIVALENCE,
        "test_reference_is_confirmed_by_central_differences",
    ),
    "stop_gradient_left_out": (
        "impl_jax/cascade.py",
        "return stop_gradient(value) * 0.5",
        "return value * 0.5",
        "severed_cascade",
        EQUIVALENCE,
        "test_flow_is_as_declared_per_loss",
    ),
    "one_gradient_scaled_by_1.001": (
        "impl_torch/strategies.py",
        "_add(problem, dict(zip(reached, grads, strict=True)))",
        "_add(problem, dict(zip(reached, (grads[0] * 1.001, *grads[1:]), strict=True)))",
        "linear_cascade",
        EQUIVALENCE,
        "test_every_strategy_gives_the_reference",
    ),
    "square_weight_transposed": (
        "impl_jax/layout.py",
        "axes = (*range(2, array.ndim), 1, 0) if array.ndim > 1",
        "axes = (*range(2, array.ndim), 0, 1) if array.ndim > 1",
        "linear_cascade",
        EQUIVALENCE,
        "test_float64_references_agree_between_frameworks",
    ),
    "masked_without_its_set_to_zero": (
        "impl_jax/recipes.py",
        "optax.masked(optax.set_to_zero(), _mask(problem, frozen=True))",
        "optax.identity()",
        "two_player",
        RECIPES,
        "test_frozen_keeps_still_and_trained_agrees_in_every_recipe_and_framework",
    ),
    "mask_inverted": (
        "impl_jax/recipes.py",
        "(name in problem.frozen) == frozen",
        "(name in problem.frozen) != frozen",
        "two_player",
        RECIPES,
        "test_frozen_keeps_still_and_trained_agrees_in_every_recipe_and_framework",
    ),
    "frozen_parameter_left_in_the_optimizer_with_decay": (
        "impl_jax/recipes.py",
        "learning = list(problem.trainable)\n    return Recipe(held=learning, gradient=Stopped",
        "learning = problem.names\n    return Recipe(held=learning, gradient=Stopped",
        "two_player",
        RECIPES,
        "test_frozen_keeps_still_and_trained_agrees_in_every_recipe_and_framework",
    ),
    "batch_norm_left_in_train_mode": (
        "impl_torch/partial_freeze.py",
        'Backbone(channels).train(statistics == "batch")',
        "Backbone(channels).train()",
        "attention_on_frozen_backbone",
        RECIPES,
        "test_batch_norm_keeps_its_statistics_in_eval_mode",
    ),
    "momentum_lost_at_the_rate_change": (
        "impl_torch/training.py",
        "if renew or not self.steppers:",
        "if renew or rate != 1.0 or not self.steppers:",
        "rate_decay",
        TRAINING,
        "test_state_is_kept_in_place_and_lost_with_a_new_optimizer",
    ),
    "discriminator_not_locked_in_the_generators_step": (
        "impl_torch/recipes.py",
        "problem.trainable,\n        optimized=problem.trainable,\n    )\n\n\ndef no_grad",
        "problem.parameters,\n        optimized=problem.trainable,\n    )\n\n\ndef no_grad",
        "gan",
        RECIPES,
        "test_every_recipe_gives_the_gradients_it_should_and_no_others",
    ),
    "decay_decoupled_where_it_is_l2": (
        "impl_jax/optimizers.py",
        "inner = optax.adam(lr, *betas, eps=eps)\n",
        "return adamw(lr, betas, eps, weight_decay)\n    inner = None\n",
        "two_player",
        RECIPES,
        "test_frozen_keeps_still_and_trained_agrees_in_every_recipe_and_framework",
    ),
    "gradient_of_the_frozen_set_to_zero_not_none": (
        "impl_torch/problem.py",
        "parameter.grad = None",
        "parameter.grad = None if name in names else torch.zeros_like(parameter)",
        "two_player",
        RECIPES,
        "test_every_recipe_gives_the_gradients_it_should_and_no_others",
    ),
    "turns_in_the_wrong_order": (
        "impl_jax/training.py",
        "for turn in made:",
        "for turn in reversed(made):",
        "two_player",
        TRAINING,
        "test_second_player_steps_through_the_updated_first",
    ),
    "parameters_counted_as_saved": (
        "impl_torch/program.py",
        "if storage.data_ptr() not in own:",
        "if storage.data_ptr():",
        "linear_cascade",
        COUNTS,
        "test_products_and_saved_bytes_are_those_worked_out",
    ),
    "flops_of_the_first_program_alone": (
        "impl_jax/program.py",
        "sum(one.flops() for one in self.inside)",
        "self.inside[0].flops()",
        "linear_cascade",
        COUNTS,
        "test_products_and_saved_bytes_are_those_worked_out",
    ),
    "softmax_over_the_wrong_axis": (
        "impl_jax/partial_freeze.py",
        "jax.nn.softmax(f @ g.mT, axis=-1)",
        "jax.nn.softmax(f @ g.mT, axis=-2)",
        "attention_on_frozen_backbone",
        EQUIVALENCE,
        "test_float64_references_agree_between_frameworks",
    ),
}


def copy_with(fault: tuple[str, ...], folder: Path) -> None:
    """The project with one line of it changed."""
    for package in PACKAGES:
        ignored = shutil.ignore_patterns("__pycache__", "runs", "reports")
        shutil.copytree(ROOT / package, folder / package, ignore=ignored)
    shutil.copy(ROOT / "pyproject.toml", folder)
    file = folder / fault[0]
    text = file.read_text()
    assert text.count(fault[1]) == 1, f"{fault[0]} no longer has the line that this fault changes"
    file.write_text(text.replace(fault[1], fault[2]))


def checked(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The check that should notice, run on a copy that has the fault."""
    _, _, _, scenario, file, check = FAULTS[name]
    copy_with(FAULTS[name], folder)
    command = [sys.executable, "-m", "pytest", f"benchmarks/{file}.py", "-q", "-x"]
    command += ["--benchmark-skip", "-p", "no:cacheprovider", "--scenario", scenario, "-k", check]
    return subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="session")
def outcomes(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Future[subprocess.CompletedProcess[str]]]]:
    """What became of each fault that is asked for, two at a time: most of it is starting up."""
    asked = [name for name in FAULTS if any(f"[{name}]" in i.name for i in request.session.items)]
    with ThreadPoolExecutor(2) as pool:
        yield {name: pool.submit(checked, name, tmp_path_factory.mktemp(name)) for name in asked}


@pytest.mark.parametrize("name", FAULTS)
def test_seeded_fault_turns_its_check_red(
    name: str, outcomes: dict[str, Future[subprocess.CompletedProcess[str]]]
) -> None:
    done = outcomes[name].result()
    assert done.returncode == 1, done.stdout[-2000:] + done.stderr[-2000:]
    assert f"FAILED benchmarks/{FAULTS[name][4]}.py::{FAULTS[name][5]}" in done.stdout
