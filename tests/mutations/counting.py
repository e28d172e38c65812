"""Faults of what is counted before the clock, of profiles, and of the first look at a machine."""

from __future__ import annotations

from tests.mutations.fault import Fault

COUNTED, SAID = "tests/unit/test_footprint.py", "tests/unit/results/regression/test_counts.py"
TRACED = "tests/unit/harness/measurement/test_traces.py"
LOOKED = "tests/unit/evaluation/test_first_look.py"

FAULTS = (
    Fault(
        "step_that_no_longer_donates",
        "impl_jax/program.py",
        "self.step = compiler.jit(self._step, donate=(0, 1))",
        "self.step = compiler.jit(self._step)",
        "a step copies what it could overwrite in place, and nothing else changes",
        (f"{COUNTED}::test_jax_counts_instructions_and_what_a_step_overwrites_in_place",),
    ),
    Fault(
        "memory_of_what_is_freed_counted_as_held",
        "impl_torch/footprint.py",
        "if not one[0].expired()}",
        "if one}",
        "the bytes held at once are all that were ever held",
        (f"{COUNTED}::test_memory_that_is_freed_is_held_no_more",),
    ),
    Fault(
        "more_flops_are_no_regression",
        "results/regression/document.py",
        "if any(one.decides for finding in self.findings for one in finding.counts):",
        "if False:",
        "a step that no longer donates, or computes more, ends with 0",
        (f"{SAID}::test_a_count_that_costs_is_a_regression_and_one_that_may_is_not",),
    ),
    Fault(
        "count_believed_that_never_repeats",
        "results/regression/counts.py",
        "elif len(set(known)) == 1:",
        "elif known:",
        "what came out otherwise the second time is told as a change of the code",
        (f"{SAID}::test_what_is_not_the_same_in_both_rounds_is_left_out",),
    ),
    Fault(
        "another_release_blamed_for_how_it_counts",
        "results/regression/counts.py",
        "decides = same and verdict == WORSE",
        "decides = verdict == WORSE",
        "an upgrade whose analysis counts other FLOPs is a regression",
        (f"{SAID}::test_with_another_release_the_clock_alone_decides",),
    ),
    Fault(
        "base_counted_for_head",
        "benchmarks/regression/counting.py",
        "self.sides[name], framework, self.device, owner=owner",
        'self.sides["base"], framework, self.device, owner=owner',
        "base is compared with itself, and no count ever changes",
        (
            "tests/integration/test_regress_counts.py::"
            "test_what_costs_more_is_said_at_once_and_is_a_regression",
        ),
    ),
    Fault(
        "cell_that_hangs_when_counted_again_is_not_timed",
        "benchmarks/regression/counting.py",
        "fail=lambda _: None",
        "fail=self.fail",
        "a program that takes long to compile anew gets no time, and the comparison ends in 2",
        (
            "tests/integration/test_regress_counts.py::"
            "test_a_cell_that_hangs_when_it_is_counted_again_can_still_be_timed",
        ),
    ),
    Fault(
        "time_of_an_operation_given_to_what_called_it",
        "benchmarks/harness/measurement/traces.py",
        "innermost = [stack[-1].name",
        "innermost = [stack[0].name",
        "a profile shows linear and never the product inside it",
        (f"{TRACED}::test_time_goes_to_the_innermost_operation_and_the_rest_is_idle",),
    ),
    Fault(
        "gap_split_as_if_nothing_was_predicted",
        "results/estimates/explanation.py",
        "seconds[0] - factor * seconds[1])",
        "seconds[0] - seconds[1])",
        "the second product of a cell that computes two is told as its slowness",
        (
            "tests/unit/results/estimates/test_explanation.py::"
            "test_what_is_beyond_the_prediction_adds_up_to_the_gap",
        ),
    ),
    Fault(
        "failed_canaries_pass_on_a_new_machine",
        "benchmarks/evaluation/first_look/__main__.py",
        'return ended and not outcome.startswith("FAILED")',
        "return ended",
        "the first times of a GPU are believed though the harness misreads what is known",
        (f"{LOOKED}::test_canaries_that_left_no_run_have_failed",),
    ),
)
