"""Faults of the precision modes: what is computed in which, how it is proven, and never mixed."""

from __future__ import annotations

from tests.mutations.fault import Fault

HERE = "tests/unit/test_precision_modes.py"
BOUNDS = "tests/unit/harness/protocol/test_precision.py"
PROOF = "tests/unit/harness/worker/test_lower_precision.py"
PARTS = "tests/unit/results/report/test_precision_parts.py"
FILES = "tests/unit/results/records/test_precision_mode.py"
ROUNDS = f"{HERE}::test_networks_round_to_bfloat16_and_gradients_stay_float32"

FAULTS = (
    Fault(
        "losses_behind_a_checkpoint_in_bfloat16",
        "impl_jax/strategies.py",
        "losses |= problem.losses_of(stage, value, constants)",
        'losses |= {n: f(value, constants["data"]) for n, f in stage.losses.items()}',
        "one strategy computes its losses with eight bits, where all others have 24",
        (f"{HERE}::test_jax_losses_of_every_strategy_are_computed_in_float32",),
    ),
    Fault(
        "every_network_cast_for_each",
        "impl_jax/precision.py",
        "{name: every[name] for name in stage.parameters}",
        "every",
        "each network casts the parameters of all, which eager JAX runs and times",
        (f"{HERE}::test_jax_casts_each_parameter_to_bfloat16_once",),
    ),
    Fault(
        "autocast_never_entered",
        "impl_torch/precision.py",
        "        if self.mode != BF16:\n            return function\n        kind",
        "        if self.mode:\n            return function\n        kind",
        "what is called bfloat16 is timed in float32",
        (ROUNDS,),
    ),
    Fault(
        "jax_losses_in_bfloat16",
        "impl_jax/precision.py",
        "full = _cast(output, jnp.bfloat16, jnp.float32)",
        "full = output",
        "the loss of one framework has half the bits of the other's",
        (f"{HERE}::test_jax_computes_networks_in_bfloat16_and_losses_in_float32",),
    ),
    Fault(
        "tf32_left_on_for_the_next_program",
        "impl_torch/precision.py",
        "        if wanted != Precision.multiplies_in_tf32:\n",
        "        if wanted:\n",
        "a program proven in full float32 multiplies in TF32 after all",
        (f"{HERE}::test_torch_switches_to_tf32_for_such_a_program_and_back_for_the_next",),
    ),
    Fault(
        "lower_precision_not_proven_in_full_float32",
        "benchmarks/harness/worker/timing.py",
        'if full["equivalence"] == "pass":',
        'if full["equivalence"]:',
        "a strategy that is wrong by a per cent hides behind the bounds of bfloat16",
        (f"{PROOF}::test_fault_in_either_precision_is_found",),
    ),
    Fault(
        "bounds_of_bfloat16_without_end",
        "benchmarks/harness/protocol/precision.py",
        "min(most, FIXED + PER_LAYER * layers)",
        "(FIXED + PER_LAYER * layers)",
        "the bounds of a deep network let a missing loss pass",
        (f"{BOUNDS}::test_bounds_grow_with_the_layers_up_to_what_tells_a_missing_loss",),
    ),
    Fault(
        "wrong_signs_without_end",
        "benchmarks/harness/worker/gate.py",
        'rules["wrong_signs"] + 1.0 / max(1, elements)',
        'rules["wrong_signs"] + 1.0',
        "a step of Adam in bfloat16 is right whatever it did",
        (
            f"{PROOF}::test_adam_may_turn_the_sign_of_a_share_of_the_elements_and_of_one",
            f"{PROOF}::test_step_that_was_not_taken_is_found_in_any_precision",
        ),
    ),
    Fault(
        "flops_of_a_lower_precision_with_its_casts",
        "benchmarks/harness/worker/timing.py",
        '"messages.PreparedCell", cell | counted | cell)',
        '"messages.PreparedCell", cell | counted)',
        "a cast is counted as an operation, and the predicted ratio moves",
        (f"{PROOF}::test_flops_are_those_of_full_float32_and_bytes_those_of_what_is_timed",),
    ),
    Fault(
        "samples_of_two_precisions_under_one_name",
        "results/records/record.py",
        'usual = ("precision_mode",) if precision_mode(record) == IEEE else ()',
        'usual = ("precision_mode",)',
        "the times of a cell in bfloat16 are taken for those in float32",
        (f"{FILES}::test_name_of_samples_holds_a_lower_precision_alone",),
    ),
    Fault(
        "two_precisions_in_a_part_of_a_report",
        "results/report/collection.py",
        'place = run.machine["id"], mode',
        'place = run.machine["id"], IEEE',
        "a headline is drawn from times in two precisions",
        (f"{PARTS}::test_part_holds_the_cells_of_one_precision",),
    ),
    Fault(
        "two_precisions_in_a_table_of_a_terminal",
        "results/terminal/ratios.py",
        '"device", "dtype", "precision_mode")',
        '"device", "dtype")',
        "a row shows the ratio of the precision that came last",
        (f"{PARTS}::test_tables_of_a_terminal_name_a_lower_precision_and_hold_one",),
    ),
)
