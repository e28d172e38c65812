"""Faults that unusual code of a user's meets: what it draws, ties, donates and imports."""

from __future__ import annotations

from tests.mutations.fault import Fault

GRAPH, TIED = "tests/unit/test_graph_problem.py", "tests/unit/test_tied_front.py"
TORCH, JAX = "tests/unit/own_code/test_torch_cases.py", "tests/unit/own_code/test_jax_cases.py"

FAULTS = (
    Fault(
        "attention_without_dropout_rounded_in_the_reference",
        "impl_torch/case_values.py",
        '{"dropout_p": 0.0, ',
        "{",
        "a float64 reference that is computed in float32",
        (f"{GRAPH}::test_what_draws_nothing_is_computed_in_float64",),
    ),
    Fault(
        "noise_that_is_not_written_back",
        "impl_torch/case_values.py",
        "            into.copy_(made)\n",
        "            pass\n",
        "a wrong float64 gradient of RReLU, which keeps its noise for the backward pass",
        (f"{GRAPH}::test_a_random_slope_is_kept_for_the_backward_pass",),
    ),
    Fault(
        "rate_of_0_forgotten_in_a_users_case",
        "impl_torch/case.py",
        "[recipe.optimized[n] for n in recipe.rate_zero]",
        "[]",
        "what is frozen moves, and the way is told as wrong",
        (f"{TORCH}::test_a_rate_of_0_keeps_what_is_frozen_still",),
    ),
    Fault(
        "imaginary_parts_dropped",
        "impl_torch/case_values.py",
        "    return dtype.to_complex() if tensor.is_complex() else tensor.dtype\n",
        "    return dtype if tensor.is_complex() else tensor.dtype\n",
        "a buffer of rotary positions becomes real in silence",
        (f"{TORCH}::test_a_complex_parameter_is_refused_and_a_complex_buffer_stays_whole",),
    ),
    Fault(
        "losses_pulled_back_in_their_own_dtype",
        "impl_jax/strategies.py",
        "    return jnp.asarray(loss, jnp.result_type(float))\n",
        "    return loss\n",
        "a loss in bfloat16 has no time: a cotangent of another dtype",
        (f"{JAX}::test_a_loss_in_bfloat16_is_pulled_back",),
    ),
    Fault(
        "optimizer_state_that_is_a_parameter",
        "impl_jax/program.py",
        "        self.state = _held_once(self.state, self.parameters)\n",
        "",
        "an array is donated twice, as both",
        (f"{JAX}::test_an_optimizer_that_keeps_the_first_parameters_takes_its_steps",),
    ),
    Fault(
        "tied_weight_known_by_one_name",
        "impl_torch/problem.py",
        "        return any(name.startswith(before) for name in self.with_tied(reached))\n",
        "        return any(name.startswith(before) for name in reached)\n",
        "a boundary that a gradient crosses is taken for one that it does not",
        (f"{TIED}::test_a_boundary_is_crossed_to_a_weight_by_each_of_its_names",),
    ),
    Fault(
        "first_branch_of_every_conditional",
        "impl_jax/operations.py",
        "TAKEN = 1  # the branch of True\n",
        "TAKEN = 0  # the branch of True\n",
        "operations are counted that never run",
        (
            "tests/unit/test_jax_operations.py"
            "::test_of_a_conditional_the_branch_that_runs_is_counted_where_it_is_known",
        ),
    ),
    Fault(
        "worker_s_command_line_left_to_the_case",
        "benchmarks/harness/worker/case_files.py",
        '    sys.argv[:] = [source.get("file") or source.get("module", "")]\n',
        "",
        "an argparse at the top of a case reads the worker's options",
        (
            "tests/unit/harness/worker/test_case_files.py"
            "::test_command_line_of_the_worker_is_not_the_user_s",
        ),
    ),
    Fault(
        "state_set_back_to_0",
        "impl_torch/optimizers.py",
        "value.fill_(values.get(key, 0.0))",
        "value.zero_()",
        "blocks begin in a state that no optimizer starts in, as NAdam's product of momenta",
        ("tests/unit/test_torch_optimizers.py::test_state_that_is_set_back_steps_as_a_new_one",),
    ),
    Fault(
        "confirmed_cells_read_as_numbers",
        "results/regression/validation.py",
        '_CONFIRMING = fields({"cells": list_of(_NAMED), ',
        '_CONFIRMING = fields({"cells": list_of(COUNT), ',
        "show refuses each comparison that confirmed something",
        (
            "tests/unit/results/regression/test_scheduling.py"
            "::test_what_is_confirmed_is_chosen_and_kept",
        ),
    ),
    Fault(
        "way_without_a_place_not_told",
        "benchmarks/own_code/plan.py",
        "        if way not in present\n",
        "        if way in present\n",
        "nothing is timed, the exit code is 0, and no word says why",
        ("tests/unit/own_code/test_plan_and_document.py::test_way_that_has_no_place_is_told",),
    ),
    Fault(
        "half_precision_converted_unseen_in_torch",
        "impl_torch/case_dtypes.py",
        "torch.finfo(parameter.dtype).bits < 32",
        "torch.finfo(parameter.dtype).bits < 16",
        "a network in bfloat16 is timed in float32, and nobody is told",
        (f"{TORCH}::test_a_parameter_of_half_precision_is_refused",),
    ),
    Fault(
        "half_precision_converted_unseen_in_jax",
        "impl_jax/case_dtypes.py",
        "jnp.finfo(array.dtype).bits < 32",
        "jnp.finfo(array.dtype).bits < 16",
        "a network in bfloat16 is timed in float32, and nobody is told",
        (f"{JAX}::test_a_parameter_of_half_precision_is_refused",),
    ),
    Fault(
        "tied_weight_without_a_flow",
        "benchmarks/harness/protocol/flow.py",
        "for other, first in pairs if first in own",
        "for other, first in pairs if other in own",
        "a network whose only weights are another's gets no gradient, says the table",
        (
            "tests/integration/test_flows.py::test_tied_tensor_has_one_flow_in_every_network_that_holds_it",
        ),
    ),
    Fault(
        "rounds_begun_after_the_budget",
        "benchmarks/own_code/rounds.py",
        "return left > 0.0 and least <= left + plan.late_seconds(self.request.budget)",
        "return True",
        "a command with a budget of 20 seconds ends after 47",
        (
            "tests/unit/own_code/test_turns.py"
            "::test_no_round_begins_after_the_budget_and_what_is_left_out_is_named",
        ),
    ),
)
