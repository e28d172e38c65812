"""Faults of the gate, which holds what is timed to the reference."""

from __future__ import annotations

from tests.mutations.fault import Fault

GATE = "tests/unit/harness/worker/test_gate.py"
PROBLEMS = "tests/integration/test_problems.py"
FAULTS_TEST = "tests/integration/test_worker_faults.py"
UPDATE_SHARE = f"{GATE}::test_update_may_be_off_by_a_share_of_the_change_and_no_more"
TYPED = f"{FAULTS_TEST}::test_fault_is_typed_and_the_group_goes_on"
GATED = f"{FAULTS_TEST}::test_freeze_is_gated_by_what_the_recipe_may_compute_and_nothing_may_move"

FAULTS = (
    Fault(
        "gates_verdict_ignored",
        "benchmarks/harness/measurement/cell_results.py",
        'if cell["equivalence"] != "pass":',
        'if cell["equivalence"] is None:',
        "wrong gradients are noted and timed all the same",
        (TYPED,),
        narrow="scaled or nan",
    ),
    Fault(
        "only_the_first_launch_gated",
        "benchmarks/harness/measurement/cell_results.py",
        'elif result.outcome == "ok":',
        'elif result.outcome == "ok" and not result.figures:',
        "a launch that compiled something else is timed",
        (f"{FAULTS_TEST}::test_fault_of_one_launch_takes_the_samples_of_all",),
        narrow="scaled",
    ),
    Fault(
        "least_gradient_error_kept",
        "benchmarks/harness/worker/gate.py",
        'error["relative"] > other["relative"]',
        'error["relative"] < other["relative"]',
        "the best launch's error stands for all",
        (f"{PROBLEMS}::test_gradient_error_is_the_worst_of_all_launches_and_figures_the_firsts",),
    ),
    Fault(
        "last_launchs_errors_of_the_parameters",
        "benchmarks/harness/worker/gate.py",
        "max(one.get(name, 0.0) for one in both)",
        "both[1].get(name, 0.0)",
        "one launch's errors stand for those of all",
        (f"{PROBLEMS}::test_gradient_error_is_the_worst_of_all_launches_and_figures_the_firsts",),
    ),
    Fault(
        "update_not_compared",
        "benchmarks/harness/worker/gate.py",
        "problem = problem or _wrong_update(program.updates(), true, rules)",
        "problem = problem or None",
        "a step with right gradients and a wrong optimizer passes",
        (f"{GATE}::test_wrong_update_is_named",),
    ),
    Fault(
        "update_may_be_off_ten_times_as_far",
        "benchmarks/harness/worker/gate.py",
        "    return UPDATE_TOLERANCE[rules",
        "    return 10 * UPDATE_TOLERANCE[rules",
        "a bound is loosened until the check is green",
        (UPDATE_SHARE,),
    ),
    Fault(
        "update_held_to_the_weight_and_not_to_its_change",
        "benchmarks/harness/worker/gate.py",
        "limit = allowed * _norm(right - before)",
        "limit = allowed * _norm(right)",
        "a step that does nothing is close enough to the right weights",
        (UPDATE_SHARE,),
    ),
    Fault(
        "frozen_may_move_a_little",
        "benchmarks/harness/worker/gate.py",
        "if not np.array_equal(updated[name], start[name].astype(updated[name].dtype)):",
        "if not np.allclose(updated[name], start[name]):",
        "weight decay moves what is frozen by less than a tolerance",
        (f"{GATE}::test_frozen_that_moves_by_the_least_bit_is_named",),
    ),
    Fault(
        "parameters_that_were_not_updated_pass",
        "benchmarks/harness/worker/gate.py",
        'expected, start = select_prefix(true, "updated"), select_prefix(true, "start")',
        "expected, start = ({n: a for n, a in select_prefix(true, kind).items() if n in updated}"
        ' for kind in ("updated", "start"))',
        "a step that returns half of the parameters passes",
        (f"{GATE}::test_wrong_update_is_named",),
    ),
    Fault(
        "gradients_not_compared_in_a_step",
        "benchmarks/harness/worker/gate.py",
        "if gradients or not is_step:",
        "if not is_step:",
        "Adam's first step hides the size of a gradient, so the update alone passes",
        (f"{GATE}::test_wasted_gradient_must_be_right_as_well",),
    ),
    Fault(
        "nothing_returned_is_nothing_wrong",
        "benchmarks/harness/worker/gate.py",
        "if gradients or not is_step:",
        "if gradients:",
        "a program without gradients is not compared",
        (f"{GATE}::test_no_gradient_at_all_passes_only_in_a_step",),
    ),
    Fault(
        "exact_zero_may_be_rounding_everywhere",
        "benchmarks/harness/worker/gate.py",
        '    if rules["phase"] == "step":\n        # the gradient',
        "    if rules:\n        # the gradient",
        "an exception for one phase is made for all",
        (f"{GATE}::test_exact_zero_may_be_rounding_only_where_it_comes_back_from_a_moment",),
    ),
    Fault(
        "every_recipe_may_compute_what_is_frozen",
        "benchmarks/harness/launches/requests.py",
        "without = [] if shows_frozen_gradients(strategy_of(name), phase) else frozen",
        "without: list[str] = []",
        "a recipe that saves nothing passes for one that does",
        (GATED,),
    ),
    Fault(
        "gradients_demanded_that_a_step_does_not_show",
        "benchmarks/harness/protocol/cells.py",
        'return way in WASTEFUL and not (phase == "step" and way in STATELESS)',
        "return way in WASTEFUL",
        "a right recipe gets no time, as a step of Adam leaves no moment of a frozen parameter",
        (
            "tests/integration/test_gate_of_recipes.py::"
            "test_every_recipe_of_a_step_passes_the_gate_under_an_optimizer_with_moments",
        ),
    ),
    Fault(
        "nothing_must_keep_still",
        "benchmarks/harness/launches/requests.py",
        '"still": [] if strategy_of(name) == UNFROZEN else frozen,',
        '"still": [],',
        "what is frozen moves in a timed step",
        (GATED,),
    ),
)
