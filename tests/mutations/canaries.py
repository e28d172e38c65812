"""Faults of the canaries, of the guard around the first call, and of the test for a trend."""

from __future__ import annotations

from tests.mutations.fault import Fault

CANARIES, VERDICTS, NOISE, WORKER = (
    "benchmarks/harness/measurement/canaries.py",
    "benchmarks/harness/measurement/canary_verdicts.py",
    "benchmarks/harness/measurement/canary_noise.py",
    "benchmarks/harness/worker/canaries.py",
)
CLOCK, TREND_TEST = "benchmarks/harness/worker/clock.py", "benchmarks/harness/worker/trend.py"
HERE, TREND = "tests/integration/test_canaries.py", "tests/unit/harness/worker/test_trend.py"
BROKEN = f"{HERE}::test_canary_fails_when_what_it_guards_is_broken"
TYPED = "tests/integration/test_worker_faults.py::test_fault_is_typed_and_the_group_goes_on"
TWICE = f"{HERE}::test_two_must_lie_in_the_interval_widened_by_the_margin"
SLEEP = f"{HERE}::test_one_launch_whose_clock_is_off_fails_the_sleep"
QUICK = f"{HERE}::test_only_a_quick_call_that_is_not_caught_is_a_fault"
TOLD = f"{HERE}::test_canaries_are_told_in_a_line"
NOISE_TEST = "tests/unit/harness/measurement/test_canary_noise.py"
NOISE_TWICE = f"{NOISE_TEST}::test_work_done_twice_is_misread_only_where_noise_cannot_explain_it"
WARMING = f"{TREND}::test_warming_goes_on_while_there_is_a_trend"
LEAST = f"{TREND}::test_least_is_the_smallest_number_in_which_a_trend_can_show"
EVERY_LAUNCH = f"{TREND}::test_record_is_steady_only_where_every_launch_was"

FAULTS = (
    Fault(
        "unfinished_work_not_noticed",
        CLOCK,
        "    if not program.finished():\n",
        "    if program.finished() is None:\n",
        "the clock stops while the work goes on, and nobody asks",
        (f"{HERE}::test_canaries_of_a_sound_framework_pass",),
    ),
    Fault(
        "cell_timed_without_its_guard",
        "benchmarks/harness/worker/timing.py",
        "first_call = clock.guarded(call)",
        "first_call = clock.batch(call, 1)",
        "the guard is proved by canaries, and no cell goes through it",
        (TYPED,),
        narrow="unwaited",
    ),
    Fault(
        "guard_lets_the_result_go",
        CLOCK,
        "seconds = batch(holding, 1)",
        "seconds = batch(ResultHolder(program), 1)",
        "of an array that is let go nobody can say whether it was there in time",
        (
            "tests/unit/harness/worker/test_clock.py::test_guard_holds_the_result_while_it_asks_for_it",
        ),
    ),
    Fault(
        "sleep_held_to_the_clock_it_tests",
        WORKER,
        "        start = time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW)\n"
        "        time.sleep(SLEEP_SECONDS)\n"
        "        self.slept[-1].append("
        "(time.clock_gettime_ns(time.CLOCK_MONOTONIC_RAW) - start) / 1e9)\n",
        "        start = time.perf_counter()\n"
        "        time.sleep(SLEEP_SECONDS)\n"
        "        self.slept[-1].append(time.perf_counter() - start)\n",
        "a clock that runs fast agrees with itself",
        (BROKEN,),
        narrow="fast_clock",
    ),
    Fault(
        "two_may_be_anywhere_near",
        VERDICTS,
        "if not low / (1 + MARGIN) <= 2 <= high * (1 + MARGIN):",
        "if not low / 2 <= 2 <= high * 2:",
        "a clock that misses half of the work passes",
        (TWICE,),
    ),
    Fault(
        "cost_of_a_call_thought_done_twice",
        VERDICTS,
        "    return once - call, twice - call\n",
        "    return once, twice\n",
        "where a thread must be woken for each call, a right clock fails",
        (f"{HERE}::test_what_a_call_costs_beside_its_work_is_not_done_twice",),
    ),
    Fault(
        "wide_interval_passes_for_proof",
        VERDICTS,
        '        return None, f"{message}; {canary_noise.WHAT_TO_DO}"',
        '        return True, f"{message}; {canary_noise.WHAT_TO_DO}"',
        "on a noisy machine every clock is right",
        (f"{HERE}::test_interval_in_which_anything_lies_proves_nothing",),
    ),
    Fault(
        "one_launch_with_a_right_clock_is_enough",
        VERDICTS,
        'return {"passed": not off.any(), "said": message}',
        'return {"passed": not off.all(), "said": message}',
        "five workers vouch for the sixth, whose clock runs slow",
        (SLEEP,),
    ),
    Fault(
        "sleep_that_ends_early_believed",
        VERDICTS,
        "    if true.min() < SLEEP_SECONDS * (1 - SLEEP_EARLY):\n",
        "    if true.min() < 0:\n",
        "both clocks are wrong alike, and agree",
        (SLEEP,),
    ),
    Fault(
        "slow_call_must_be_caught_too",
        VERDICTS,
        '        if call["seconds"] < QUICK * work\n',
        "",
        "a call whose work was done in time is called a hole in the guard",
        (QUICK,),
    ),
    Fault(
        "missed_call_forgiven",
        VERDICTS,
        'return {"passed": not missed, "said": message}',
        'return {"passed": len(missed) < len(quick), "said": message}',
        "a guard that catches one call in five is thought to work",
        (QUICK,),
    ),
    Fault(
        "wrong_gradient_let_pass_in_one_launch",
        VERDICTS,
        'passed = sum(one["gate"]["wrong"] == "pass" for one in launches)',
        "passed = 0",
        "a gate that passes everything is proved by right gradients alone",
        (BROKEN,),
        narrow="lenient_gate",
    ),
    Fault(
        "gate_that_refuses_everything_is_strict",
        VERDICTS,
        'if one["gate"]["right"] != "pass"]',
        'if one["gate"]["right"] is None]',
        "a gate that refuses a right gradient as well refuses the wrong one",
        (BROKEN,),
        narrow="strict_gate",
    ),
    Fault(
        "noise_called_a_fault",
        VERDICTS,
        "    if (np.abs(off) <= np.log1p(MARGIN) + spreads).any():\n",
        "    if (np.abs(off) <= np.log1p(MARGIN)).any():\n",
        "on a busy machine the harness is said to misread what it reads right",
        (NOISE_TWICE,),
    ),
    Fault(
        "noise_excuses_everything",
        NOISE,
        "        scatter += math.log((upper - least) / (lower - most))\n",
        "        scatter += upper / least\n",
        "a clock that misses half of the work is excused on any machine",
        (NOISE_TWICE,),
    ),
    Fault(
        "waiting_worker_held_to_the_bounds_of_a_quiet_one",
        NOISE,
        "    if waited is not None and waited > WAITED:\n",
        "    if waited is not None and waited > 1.0:\n",
        "a worker that got no processor half of the time is a fault of the harness",
        (NOISE_TWICE,),
    ),
    Fault(
        "late_question_of_the_guard_is_a_hole",
        VERDICTS,
        'if missed and not any(call["asked"] < QUICK * least for call, least in missed):',
        'if missed and not any(call["seconds"] < QUICK * least for call, least in missed):',
        "a guard that was interrupted before it asked is said to miss work",
        (f"{NOISE_TEST}::test_guard_that_asked_too_late_missed_nothing",),
    ),
    Fault(
        "short_sleep_excused_by_the_other_launches",
        VERDICTS,
        "    if any(by < 0 and not noise for (_, by), noise in",
        "    if all(by < 0 and not noise for (_, by), noise in",
        "a clock that runs slow in one worker is called noise where another reads late",
        (f"{NOISE_TEST}::test_sleep_that_reads_short_in_one_launch_is_a_fault_also_under_load",),
    ),
    Fault(
        "failure_dropped_by_a_second_try_that_told_nothing",
        CANARIES,
        '(two if two["passed"] else one)',
        '(two if two["passed"] is not False else one)',
        "what failed is no failure any more, for it could not be told again",
        (f"{HERE}::test_what_failed_is_right_only_if_the_second_try_says_so",),
    ),
    Fault(
        "canary_not_taken_reads_ok",
        "results/records/canary_status.py",
        'if result.get("passed") is not True:',
        'if result.get("passed") is False:',
        "null is taken for a pass",
        (TOLD,),
    ),
    Fault(
        "untold_canary_cries_wolf",
        "results/records/canary_status.py",
        '        if result.get("passed") is False\n    ]',
        '        if not result.get("passed")\n    ]',
        "a run is not to be believed because torch on a CPU waits by itself",
        (f"{HERE}::test_untold_canary_is_no_failure",),
    ),
    Fault(
        "session_with_a_lying_clock_ends_green",
        "benchmarks/conftest.py",
        "bench.save_error or bench.canary_failed or native",
        "bench.save_error or native",
        "what is printed says not to believe the run, and its exit code says to",
        (f"{HERE}::test_session_with_a_lying_clock_measures_on_says_so_and_fails",),
    ),
    Fault(
        "trend_tested_on_one_side",
        TREND_TEST,
        "return min(1.0, 2 * as_far / factorial(count))",
        "return min(1.0, as_far / factorial(count))",
        "twice as many steady cells are called unsteady",
        (f"{TREND}::test_p_is_kendalls_exact_one",),
    ),
    Fault(
        "rising_times_are_no_trend",
        TREND_TEST,
        "abs(int(rising.sum()))",
        "max(0, -int(rising.sum()))",
        "a machine that heats up is steady",
        (LEAST, WARMING),
    ),
    Fault(
        "untested_called_steady",
        TREND_TEST,
        "    if len(seconds) < LEAST:\n        return None\n",
        "    if len(seconds) < LEAST:\n        return True\n",
        "three calls that show no trend, as no three calls can",
        (LEAST,),
    ),
    Fault(
        "warmed_up_for_good_after_one_look",
        CLOCK,
        "if is_steady is not False or spent",
        "if is_steady is not None or spent",
        "the clock starts while the times still fall",
        (WARMING,),
        narrow="falls_for",
    ),
    Fault(
        "steady_in_some_launch",
        "benchmarks/harness/session/recording.py",
        "    if False in launches:\n        return False\n",
        "    if launches and not any(launches):\n        return False\n",
        "one steady launch hides five that were not",
        (EVERY_LAUNCH,),
    ),
    Fault(
        "untested_launch_counted_as_steady",
        "benchmarks/harness/session/recording.py",
        "return None if None in launches or not launches else True",
        "return True if launches else None",
        "null is taken for true",
        (EVERY_LAUNCH,),
    ),
)
