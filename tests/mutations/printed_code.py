"""Faults in what the catalogue takes from printed code, and in what a step leaves behind."""

from __future__ import annotations

from tests.mutations.fault import EQUIVALENCE, TRAINING, Fault

STEPS, TURNS = "tests/integration/test_steps.py", "benchmarks/test_turns.py"
DIGEST = "tests/unit/harness/session/test_code_digest.py"
PAIRED = "tests/unit/results/estimates/test_cross_framework.py"
PRINTED = "tests/integration/test_printed_code.py"
ONE_OPTIMIZER = f"{STEPS}::test_recipe_of_a_freeze_has_one_optimizer_over_a_single_list"

FAULTS = (
    Fault(
        "running_statistics_not_put_back_jax",
        "impl_jax/program.py",
        'self.buffers = self.problem.constants["buffers"]',
        'self.buffers = getattr(self, "buffers", self.problem.constants["buffers"])',
        "BatchNorm's statistics drift from block to block",
        (f"{STEPS}::test_block_of_steps_begins_at_the_statistics_that_were_loaded",),
        narrow="jax",
        always=True,
    ),
    Fault(
        "step_no_longer_donates",
        "impl_jax/program.py",
        "self.step = compiler.jit(self._step, donate=(0, 1))",
        "self.step = compiler.jit(self._step)",
        "a step holds parameters and optimizer state twice, and copies what it could overwrite",
        (f"{STEPS}::test_step_of_jax_overwrites_every_parameter_and_all_state",),
        narrow="summed",
    ),
    Fault(
        "freeze_recipe_with_the_optimizers_of_the_scenario",
        "impl_torch/session.py",
        'settings |= {"arrangement": "together", "rates": {}}',
        'settings |= {"rates": {}}',
        "recipes of one problem differ in their optimizers, too",
        (ONE_OPTIMIZER,),
        narrow="torch",
    ),
    Fault(
        "freeze_recipe_with_the_optimizers_of_the_scenario_jax",
        "impl_jax/session.py",
        'settings |= {"arrangement": "together", "rates": {}}',
        'settings |= {"rates": {}}',
        "recipes of one problem differ in their optimizers, too",
        (ONE_OPTIMIZER,),
        narrow="jax",
    ),
    Fault(
        "digest_forgets_a_folder",
        "benchmarks/harness/session/resume.py",
        '    "benchmarks/harness/launches",\n',
        "",
        "a run is gone on with by other code",
        (f"{DIGEST}::test_digest_is_another_after_any_change_in_any_folder",),
        narrow="launches",
    ),
    Fault(
        "digest_without_folders",
        "benchmarks/harness/session/resume.py",
        "path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(path.name)",
        "Path(path.name)",
        "a file that moved to another package is taken for the same code",
        (f"{DIGEST}::test_digest_is_another_after_any_change_in_any_folder",),
    ),
    Fault(
        "namesakes_alone_are_compared",
        "results/estimates/counterparts.py",
        'return None if jax is None else f"{jax}{at}{copy}"',
        "return torch",
        "the usual way to freeze in torch is never compared with that in JAX",
        (f"{PAIRED}::test_recipes_that_do_the_same_work_are_paired_whatever_their_names",),
    ),
    Fault(
        "eager_separate_grad_compared_with_one_forward_pass",
        "results/estimates/counterparts.py",
        "return None if (name, jax_mode) in UNLIKE else torch",
        "return torch",
        "a pair of cells that compute different products is shown as one",
        (f"{PAIRED}::test_namesakes_that_do_other_work_in_eager_jax_are_not_paired",),
    ),
    Fault(
        "first_adam_goes_on_for_the_decoder",
        "benchmarks/scenarios/alternation.py",
        "Segment(25, (alone,), renew=renew)",
        "Segment(25, (alone,))",
        "the decoder's second optimizer begins with the moments of the first",
        (f"{TRAINING}::test_training_agrees_and_does_what_its_row_says",),
        narrow="autoencoder and second_adam",
    ),
    Fault(
        "rates_of_all_groups_fall",
        "impl_torch/optimizers.py",
        'if not only or group.get("label") in only:',
        "if True:",
        "a schedule for one parameter group lowers the rate of the others, too",
        (f"{TURNS}::test_rate_of_one_group_falls_and_the_other_stays",),
        narrow="torch",
        always=True,
    ),
    Fault(
        "rates_of_all_groups_fall_jax",
        "impl_jax/optimizers.py",
        "scale_rates(part, factor) if n in only else part for",
        "scale_rates(part, factor) for",
        "a schedule for one parameter group lowers the rate of the others, too",
        (f"{TURNS}::test_rate_of_one_group_falls_and_the_other_stays",),
        narrow="jax",
    ),
    Fault(
        "shared_output_not_detached",
        "impl_torch/alternation.py",
        "return cut(value, data), value",
        "return value, value",
        "B's loss trains A where both turns share A's forward pass",
        (f"{EQUIVALENCE}::test_flow_is_as_declared_per_loss",),
        scenario="two_player",
    ),
    Fault(
        "codewords_scaled_in_the_plain_autoencoder",
        "impl_jax/alternation.py",
        "if not self.unit_power:",
        "if False:",
        "a network differs from the printed one by a normalisation",
        (f"{PRINTED}::test_printed_code_ends_at_the_weights_of_both_implementations",),
        narrow="autoencoder_going_on",
    ),
)
