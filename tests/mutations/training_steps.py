"""Faults of `cascade-bench check`: a mistake that is missed, and right code that is accused."""

from __future__ import annotations

from tests.mutations.fault import Fault

TORCH, JAX, RULES, CLIENT = (
    "tests/unit/own_code/test_torch_steps.py",
    "tests/unit/own_code/test_jax_steps.py",
    "tests/unit/own_code/test_findings.py",
    "tests/unit/client/test_step_check.py",
)
RIGHT, WRONG = "test_right_step_is_left_alone", "test_mistake_is_found_and_nothing_else"

FAULTS = (
    Fault(
        "unknown_learning_rate_taken_for_one_above_0",
        "impl_torch/step_changes.py",
        "RuntimeError):  # such as a function\n        return 0.0\n",
        "RuntimeError):\n        return 1.0\n",
        "a parameter that rests while its optimizer's rate is 0 is said to be cut off",
        (f"{TORCH}::test_setting_that_is_no_number_counts_as_0",),
    ),
    Fault(
        "waste_of_next_to_nothing_is_told",
        "results/own_code/findings.py",
        "SHARE = 0.01  # of",
        "SHARE = 0.0001  # of",
        "whoever has one elementwise operation behind a shared graph is told to sum losses",
        (f"{RULES}::test_what_saves_next_to_nothing_is_not_told",),
    ),
    Fault(
        "gradients_taken_apart_are_told_to_be_summed",
        "impl_torch/step_recording.py",
        "        if adds and earlier and self._gradients_untouched_since(earlier[-1]):\n",
        "        if adds and earlier:\n",
        "a method that needs each loss's own gradient is called a waste",
        (f"{TORCH}::{RIGHT}",),
        narrow="gradients_taken_apart",
    ),
    Fault(
        "merged_passes_see_other_random_numbers",
        "impl_torch/step_replays.py",
        "            seed_everything(self.case.seed)\n",
        "            pass\n",
        "another mask of Dropout is taken for a hook that is not linear",
        (f"{TORCH}::{WRONG}",),
        narrow="separate_passes_with_dropout",
    ),
    Fault(
        "wrapping_optimizer_taken_for_a_second_one",
        "impl_torch/step_recording.py",
        '            gradient, fresh = states.get(name, ("none", False))\n',
        "            gradient, fresh = states[name][0], self._fresh[name]\n",
        "an optimizer that wraps another is said to step twice",
        (f"{TORCH}::{RIGHT}",),
        narrow="lookahead",
    ),
    Fault(
        "teacher_taken_for_a_frozen_network",
        "results/own_code/findings.py",
        '        and not one.get("beside_moved")\n',
        "",
        "a teacher whose statistics move with its weights is said to be frozen",
        (f"{TORCH}::{RIGHT}",),
        narrow="follower",
    ),
    Fault(
        "unused_layer_taken_for_one_cut_off",
        "impl_torch/loss_reach.py",
        "        self.cut = self._mattering(asked)\n",
        "        self.cut = asked\n",
        "a layer that no loss depends on is said to be cut off from it",
        (f"{TORCH}::{RIGHT}",),
        narrow="unused_layer",
    ),
    Fault(
        "stale_gradient_not_told_from_a_new_one",
        "results/own_code/findings.py",
        '        return "gradient" if move["accumulated"] else "stale"\n',
        '        return "gradient"\n',
        "the mend of another mistake is given",
        (f"{TORCH}::{WRONG}",),
        narrow="stale",
    ),
    Fault(
        "raw_gradient_of_a_mask_taken_for_an_update",
        "impl_jax/step_changes.py",
        '            return "raw"\n',
        '            return "update"\n',
        "optax.masked alone is not told from an optimizer that steps what is frozen",
        (f"{JAX}::{WRONG}",),
        narrow="masked_alone",
    ),
    Fault(
        "weight_that_rises_taken_for_one_of_0",
        "impl_jax/step_replays.py",
        "            and _stays_zero(replay, all_losses, without_loss)\n",
        "",
        "a loss that is faded in is called a waste, as its weight is 0 in the first step",
        (f"{JAX}::{RIGHT}",),
        narrow="annealed_weight",
    ),
    Fault(
        "teacher_in_jax_taken_for_a_frozen_network",
        "impl_jax/step_observation.py",
        "        if follows(name, before, after, others):\n",
        "        if False:\n",
        "a moving average is called a mistake",
        (f"{JAX}::{RIGHT}",),
        narrow="follower",
    ),
    Fault(
        "division_taken_for_clipping",
        "results/own_code/findings.py",
        '        if _spread(events, size) < min(SAME, _spread(events, "before") / 10):\n',
        "        if True:\n",
        "averaging over micro-batches before unscaling is called a mistake",
        (f"{RULES}::test_division_is_told_from_clipping",),
    ),
    Fault(
        "findings_end_with_0",
        "cascade_bench/check_command.py",
        "    return outcome.code\n",
        "    return 0\n",
        "a workflow stays green whatever is found",
        (f"{CLIENT}::test_command_asks_for_the_steps_and_ends_with_0_or_1",),
    ),
)
