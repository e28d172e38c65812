"""Faults of the engine for a user's own code: what it finds out, and what it holds ways to."""

from __future__ import annotations

from tests.mutations.fault import Fault

GRAPH, GATE, PLAN = (
    "tests/unit/test_graph_problem.py",
    "tests/integration/test_own_code_gate.py",
    "tests/unit/own_code/test_plan_and_document.py",
)
REPEATED = "tests/unit/own_code/test_repeated_passes.py"
SLOPES = "tests/unit/test_case_slopes.py"
STRUCTURE = "tests/unit/test_structure.py"

FAULTS = (
    Fault(
        "random_numbers_go_on_in_a_repeated_pass",
        "impl_torch/graph_problem.py",
        "        seed_everything(self.seed)\n",
        "",
        "each strategy sees another mask of Dropout",
        (f"{GRAPH}::test_buffers_and_random_numbers_are_put_back_before_a_repeated_pass",),
    ),
    Fault(
        "generators_seeded_within_the_clock",
        "impl_torch/graph_problem.py",
        "        if self.draws:\n",
        "        if True:\n",
        "a pass for each loss pays for seeding where nothing is drawn, and is never compiled",
        (f"{REPEATED}::test_nothing_is_seeded_within_the_clock_where_nothing_is_drawn",),
    ),
    Fault(
        "draws_of_other_libraries_overlooked",
        "impl_torch/case_examination.py",
        '"draws": bool(examination.drawn_from)',
        '"draws": "torch" in examination.drawn_from',
        "the noise that NumPy draws differs from one pass for a loss to the next",
        (f"{REPEATED}::test_every_loss_sees_the_same_numbers_where_some_are_drawn",),
        narrow="numpy",
    ),
    Fault(
        "draws_of_the_backward_pass_overlooked",
        "impl_torch/case_examination.py",
        "            self.drawn_from |= self._libraries_drawn_from()",
        "            self._libraries_drawn_from()",
        "a hook that draws makes the second loss's gradient another one",
        (f"{REPEATED}::test_every_loss_sees_the_same_numbers_where_some_are_drawn",),
        narrow="backward",
    ),
    Fault(
        "buffers_put_back_in_the_sight_of_autograd",
        "impl_torch/graph_problem.py",
        "            tensor.data.copy_(self._buffers_at_start[name])\n",
        "            tensor.copy_(self._buffers_at_start[name])\n",
        "a graph that was built before cannot be walked any more",
        (f"{GRAPH}::test_a_graph_built_before_survives_the_putting_back_of_buffers",),
    ),
    Fault(
        "float64_draws_its_own_numbers",
        "impl_torch/case_values.py",
        "        draws = torch.Tag.nondeterministic_seeded in func.tags\n",
        "        draws = False\n",
        "the reference has other random numbers than what is held to it",
        (f"{GRAPH}::test_float64_draws_what_float32_draws",),
    ),
    Fault(
        "cut_gradient_taken_for_no_dependence",
        "benchmarks/harness/worker/slopes.py",
        " if difference <= ROUNDINGS * rounding / self.step else math.inf)\n",
        ")\n",
        "a detached path is not told from one that is not there",
        (f"{GATE}::test_flow_is_found_out_and_a_cut_is_told_from_no_dependence",),
        narrow="torch",
    ),
    Fault(
        "float32_inside_taken_for_a_cut",
        "benchmarks/harness/worker/slopes.py",
        "        hidden = difference * self.step <= SURELY * noise\n",
        "        hidden = False\n",
        "a right gradient of a model that computes in float32 is said to be cut",
        (f"{SLOPES}::test_what_is_computed_in_float32_is_hidden_along_a_random_direction",),
    ),
    Fault(
        "directions_begun_after_the_budget",
        "benchmarks/harness/worker/slopes.py",
        " and time.monotonic() < (\n"
        "                deadline if sampled else self.until\n            ):\n",
        ":\n",
        "a model with slow passes is examined for as long as it takes, whatever the budget",
        (f"{SLOPES}::test_each_network_has_its_share_of_the_time_and_what_is_missing_is_said",),
    ),
    Fault(
        "fewer_directions_unsaid",
        "benchmarks/harness/worker/slopes.py",
        "            self.direction_counts[network] = len(sampled)\n",
        "            self.direction_counts[network] = DIRECTIONS\n",
        "a gradient that was not confirmed for lack of time passes for one that was",
        (f"{SLOPES}::test_nothing_is_confirmed_after_the_time_and_that_is_said",),
    ),
    Fault(
        "examined_by_threads_that_wait",
        "impl_torch/case_examination.py",
        "        torch.set_num_threads(1)\n        if",
        "        if",
        "on a busy machine an examination takes many times as long as its work",
        (f"{SLOPES}::test_examination_takes_one_thread_where_several_are_no_faster",),
        narrow="several",
    ),
    Fault(
        "start_of_processes_not_planned",
        "benchmarks/own_code/plan.py",
        "        return further * self.start + ways * (\n",
        "        return ways * (\n",
        "a case that takes long to import exceeds its budget by that, six times",
        (f"{PLAN}::test_processes_that_start_slowly_and_compiling_are_planned_for",),
    ),
    Fault(
        "timed_after_the_budget",
        "benchmarks/own_code/plan.py",
        "        return [Plan((), p.launches, (*p.left_out, *nothing(p.groups))) for p in plans]\n",
        "        return plans\n",
        "what does not fit is begun all the same, and the budget exceeded without a word",
        (f"{PLAN}::test_nothing_is_measured_where_not_even_the_least_fits",),
    ),
    Fault(
        "jumps_taken_for_float32",
        "benchmarks/harness/worker/slopes.py",
        "self._relative(loss, noise) <= COARSEST else None)\n",
        "True else None)\n",
        "a gradient that is not the slope of a loss in steps is excused by its rounding",
        (f"{SLOPES}::test_a_loss_in_steps_is_not_taken_for_one_of_float32",),
    ),
    Fault(
        "coarse_loss_confirmed_unseen",
        "benchmarks/harness/worker/slopes.py",
        "        return Slope(least, coarse=self._relative(loss, noise))\n",
        "        return Slope(0.0, coarse=self._relative(loss, noise))\n",
        "where rounding hides random directions, any gradient passes",
        (
            f"{SLOPES}::test_what_is_computed_in_float32_is_confirmed_uphill_and_a_wrong_gradient"
            "_is_not",
        ),
    ),
    Fault(
        "another_case_in_every_process",
        "benchmarks/harness/worker/own_code.py",
        '        if differing or set(opened.prints) != set(facts["prints"]):\n',
        '        if set(opened.prints) != set(facts["prints"]):\n',
        "gradients of one batch are held to those of another",
        (f"{GATE}::test_a_case_that_differs_from_process_to_process_is_refused",),
    ),
    Fault(
        "launches_go_before_dispensable_ways",
        "benchmarks/own_code/plan.py",
        "    if request.ways is None:\n",
        "    if request.ways is None and plan.launches == FEWEST:\n",
        "less important ways cost the intervals of all",
        (f"{PLAN}::test_what_is_dispensable_is_left_out_before_launches",),
    ),
    Fault(
        "case_cut_at_plain_tensors_alone",
        "impl_torch/case_examination.py",
        "why_not_cut(outputs[s.name], s.network) for s",
        "type(outputs[s.name]).__name__ for s",
        "networks that return a tuple or a dict are not cut, although every tensor in it can be",
        (f"{STRUCTURE}::test_case_of_a_user_has_a_boundary_where_its_outputs_can_be_cut",),
        narrow="torch",
    ),
    Fault(
        "case_cut_at_what_holds_no_arrays",
        "impl_jax/case_examination.py",
        "    jax.eval_shape(look)  #",
        "    #",
        "an output that JAX cannot look into is a crash of one way, not a reason to leave it out",
        (f"{STRUCTURE}::test_case_of_a_user_has_a_boundary_where_its_outputs_can_be_cut",),
        narrow="jax",
    ),
    Fault(
        "framework_that_is_there_to_be_installed",
        "benchmarks/own_code/session.py",
        "if missing else WHOLE",
        "if missing or framework else WHOLE",
        "whoever has a broken installation is told to install what he has",
        (
            "tests/unit/own_code/test_worker_mistakes.py"
            "::test_framework_that_fails_to_start_is_to_be_installed_only_where_it_is_missing",
        ),
    ),
)
