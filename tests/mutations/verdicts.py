"""Faults of the verdicts, of stopping by precision, of the frameworks' ratio and of the noise."""

from __future__ import annotations

from tests.mutations.fault import Fault

VERDICT, ESTIMATION = "results/statistics/verdict.py", "results/estimates/run_estimates.py"
STATISTICS, FRAMEWORKS = "results/statistics/estimators.py", "results/estimates/cross_framework.py"
NOISE, PRECISION = "results/statistics/noise.py", "benchmarks/harness/measurement/stopping.py"
SAID, STOPS, NOISY, ACROSS = (
    "tests/unit/results/statistics/test_verdict.py",
    "tests/unit/harness/measurement/test_stopping.py",
    "tests/unit/results/statistics/test_noise.py",
    "tests/unit/results/estimates/test_cross_framework.py",
)
P_VALUES = f"{SAID}::test_p_values_are_those_of_scipys_t_tests"
OWN_TEST = f"{SAID}::test_each_claim_needs_its_own_test"
STEP_DOWN = f"{SAID}::test_holm_is_scipys_step_down"
FAMILY = f"{SAID}::test_family_is_one_group_and_its_baseline"
MARGIN = f"{SAID}::test_margin_follows_the_spread_and_not_the_estimates"
ONE_WIDE = f"{STOPS}::test_one_wide_ratio_of_the_group_goes_on_until_launches_or_time_are_up"
WELCH = f"{ACROSS}::test_interval_is_that_of_scipys_welch_test"
PAIRED = f"{ACROSS}::test_only_cells_that_differ_in_framework_and_mode_are_paired"
TWO_COPIES = f"{NOISY}::test_spread_of_two_copies_is_the_deviation_of_their_log_ratio"
AS_PROMISED = f"{NOISY}::test_smallest_change_is_found_as_often_as_promised"

FAULTS = (
    Fault(
        "p_of_one_side",
        VERDICT,
        "return np.minimum(1.0, 2 * _upper_tails(rows, np.abs(rows.log_ratio)))",
        "return np.minimum(1.0, _upper_tails(rows, np.abs(rows.log_ratio)))",
        "slower and faster are both looked for, and alpha is spent twice",
        (P_VALUES,),
    ),
    Fault(
        "equality_by_the_nearer_margin",
        VERDICT,
        "bound - np.abs(rows.log_ratio))",
        "bound + np.abs(rows.log_ratio))",
        "one of the two one-sided tests is enough for equal",
        (P_VALUES, OWN_TEST),
    ),
    Fault(
        "no_correction_for_several",
        VERDICT,
        "np.arange(values.shape[-1], 0, -1)",
        "np.ones(values.shape[-1])",
        "every strategy more in a group makes another alarm",
        (STEP_DOWN, FAMILY),
    ),
    Fault(
        "holms_steps_not_held_up",
        VERDICT,
        "np.maximum.accumulate(np.take_along_axis(values, order, -1) * factors, axis=-1)",
        "np.take_along_axis(values, order, -1) * factors",
        "a larger p passes behind a smaller one that did not",
        (STEP_DOWN,),
    ),
    Fault(
        "slower_by_any_difference",
        VERDICT,
        "beyond = np.asarray(differs) & (np.abs(rows.log_ratio) > bound)",
        "beyond = np.asarray(differs) & (np.abs(rows.log_ratio) > 0)",
        "a difference that nobody would notice is called slower",
        (OWN_TEST,),
    ),
    Fault(
        "no_difference_found_called_equal",
        VERDICT,
        "np.where(same, EQUAL, INCONCLUSIVE)",
        "np.where(~np.asarray(differs), EQUAL, INCONCLUSIVE)",
        "want of evidence is taken for evidence: the noisier, the more is equal",
        (OWN_TEST,),
    ),
    Fault(
        "standard_error_left_out_of_t",
        VERDICT,
        "-distance / error)",
        "-distance)",
        "a verdict is made of the estimate alone",
        (P_VALUES, OWN_TEST),
    ),
    Fault(
        "no_test_taken_for_certainty",
        VERDICT,
        "-distance / error), 1.0)",
        "-distance / error), 0.0)",
        "launches that a coarse clock reads alike prove a difference",
        (f"{SAID}::test_no_test_is_no_verdict_in_either_direction",),
    ),
    Fault(
        "noisy_by_the_worst_cell",
        VERDICT,
        "np.median(known) > NOISY_SPREAD",
        "np.max(known) > NOISY_SPREAD",
        "one cell's noise widens the margin of all",
        (MARGIN,),
    ),
    Fault(
        "half_width_of_one_side",
        VERDICT,
        "(1 + confidence) / 2",
        "confidence",
        "measuring stops while the interval is still too wide",
        (f"{SAID}::test_half_width_is_that_of_the_interval",),
    ),
    Fault(
        "family_of_all_groups",
        ESTIMATION,
        'setdefault((*group_key(one.record), one.record["baseline"]), [])',
        'setdefault(one.record["baseline"], [])',
        "whoever selects more cells finds less",
        (FAMILY,),
    ),
    Fault(
        "verdict_from_two_launches",
        ESTIMATION,
        "if len(one.d) < LAUNCHES_FOR_INTERVAL:",
        "if len(one.d) < 2:",
        "a verdict where there is not even an interval",
        (f"{SAID}::test_under_six_launches_there_is_no_verdict_and_the_reason",),
    ),
    Fault(
        "variance_taken_for_a_spread",
        ESTIMATION,
        "math.sqrt(location(d).variance)",
        "location(d).variance",
        "a machine is called quiet that is not: 5 % squared is little",
        (f"{SAID}::test_margin_of_a_framework_is_wider_where_its_ratios_spread",),
    ),
    Fault(
        "precise_where_any_ratio_is",
        PRECISION,
        "if all(self._width",
        "if any(self._width",
        "a group stops with its noisiest ratio still wide",
        (ONE_WIDE,),
    ),
    Fault(
        "precise_after_two_launches",
        PRECISION,
        "math.inf if len(d) < LAUNCHES_FOR_INTERVAL else",
        "math.inf if len(d) < 2 else",
        "two launches that happen to agree end the measuring",
        (f"{STOPS}::test_under_six_launches_nothing_is_precise",),
    ),
    Fault(
        "time_of_a_group_not_limited",
        PRECISION,
        "return TIME if seconds > self.seconds else None",
        "return None",
        "one noisy group takes as long as all others together",
        (ONE_WIDE,),
    ),
    Fault(
        "stopped_at_a_welcome_ratio",
        PRECISION,
        "        if following is None:\n",
        "        base = samples[self.baseline]\n"
        "        if any(abs(log_ratios(base, cell).mean()) > 0.1 for cell in compared):\n"
        "            return REACHED\n"
        "        if following is None:\n",
        "measuring ends when the ratio is what one hoped for",
        (f"{STOPS}::test_wide_ratio_goes_on_whatever_it_is",),
    ),
    Fault(
        "prior_of_all_cells_lost_on_the_way",
        PRECISION,
        "if math.isfinite(value) else 1e9 for",
        "if math.isfinite(value) else 0.0 for",
        "JSON has no infinity, and what takes its place means the opposite",
        (f"{STOPS}::test_travels_as_json",),
    ),
    Fault(
        "launches_of_a_step_timed_again",
        "benchmarks/harness/measurement/group.py",
        "self._time_launches(range(timed, count))",
        "self._time_launches(range(count))",
        "the first launches count twice, and the interval is too narrow",
        (
            "tests/integration/test_stopping.py::test_group_takes_more_launches_and_says_why_it_stopped",
        ),
    ),
    Fault(
        "frameworks_ratio_upside_down",
        STATISTICS,
        "float(logs[1].mean() - logs[0].mean())",
        "float(logs[0].mean() - logs[1].mean())",
        "jax over torch is torch over jax",
        (WELCH,),
    ),
    Fault(
        "welchs_variance_of_a_launch",
        STATISTICS,
        "errors = [float(values.var(ddof=1)) / len(values)",
        "errors = [float(values.var(ddof=1))",
        "more launches make the interval no narrower",
        (WELCH,),
    ),
    Fault(
        "welchs_degrees_of_freedom_pooled",
        STATISTICS,
        "dof = total**2 / spread if spread else math.inf",
        "dof = float(sum(map(len, logs)) - 2)",
        "two frameworks are taken to be equally noisy",
        (WELCH,),
    ),
    Fault(
        "unequal_modes_called_equal",
        FRAMEWORKS,
        'equal = (one["mode"], other["mode"]) in EQUAL_MODES',
        "equal = True",
        "eager torch against compiled jax is shown as a like-for-like comparison",
        (PAIRED,),
    ),
    Fault(
        "every_mode_against_every_mode",
        FRAMEWORKS,
        'if alike and (one["mode"], other["mode"]) in EQUAL_MODES | USUAL_MODES:',
        "if alike:",
        "compiled torch is compared with jax operation by operation",
        (f"{ACROSS}::test_compiled_is_never_compared_with_operation_by_operation",),
    ),
    Fault(
        "frameworks_compared_at_another_size",
        FRAMEWORKS,
        'cell_fields(record, without=("framework", "mode", "strategy"))',
        'cell_fields(record, without=("framework", "mode", "strategy", "size"))',
        "a small cell of the one against a large one of the other",
        (PAIRED,),
    ),
    Fault(
        "quartile_of_one_sample_more",
        STATISTICS,
        "below, fraction = divmod(0.25 * (len(row) - 1), 1.0)",
        "below, fraction = divmod(0.25 * len(row), 1.0)",
        "another definition of the quartile than the one that is documented",
        (
            "tests/unit/results/statistics/test_estimators.py::test_the_lower_quartile_is_taken_launch_by_launch",
        ),
    ),
    Fault(
        "noise_of_a_time_for_that_of_a_ratio",
        NOISE,
        "math.sqrt(2 * float(np.sum(rest**2)) / dof)",
        "math.sqrt(float(np.sum(rest**2)) / dof)",
        "a ratio of two times is thought no noisier than one time",
        (TWO_COPIES,),
    ),
    Fault(
        "what_launches_share_counted_as_noise",
        NOISE,
        "rest = table - table.mean(axis=0) - table.mean(axis=1, keepdims=True) + table.mean()",
        "rest = table - table.mean(axis=1, keepdims=True)",
        "what cancels in a ratio makes every machine look noisy",
        (TWO_COPIES,),
    ),
    Fault(
        "noise_grows_smaller_with_longer_measuring",
        NOISE,
        "math.sqrt(np.mean([one.sd**2 for one in each]))",
        "math.sqrt(np.mean([one.sd**2 for one in each]) / len(each))",
        "the doctor measures longer than a run does, and promises what a run cannot keep",
        (f"{NOISY}::test_longer_measuring_makes_the_figure_surer_and_not_smaller",),
    ),
    Fault(
        "change_found_in_half_of_all_comparisons",
        NOISE,
        "float(np.quantile(beyond - draws.estimates, power))",
        "float(np.quantile(beyond - draws.estimates, 0.5))",
        "the smallest change is one that is missed as often as found",
        (AS_PROMISED,),
    ),
    Fault(
        "ends_of_the_spread_swapped",
        NOISE,
        "scipy.special.chdtri(spread.dof, [tail, 1 - tail])",
        "scipy.special.chdtri(spread.dof, [1 - tail, tail])",
        "the interval of the noise ends below its beginning",
        (f"{NOISY}::test_interval_of_a_spread_covers_it",),
    ),
)
