"""Faults of the statistics: from raw samples to times, ratios and intervals."""

from __future__ import annotations

from tests.mutations.fault import Fault

HERE, WHOLE = (
    "tests/unit/results/statistics/test_estimators.py",
    "tests/unit/results/estimates/test_run_estimates.py",
)
FILE = "results/statistics/estimators.py"
ESTIMATION = "results/estimates/run_estimates.py"
QUARTILE = f"{HERE}::test_the_lower_quartile_is_taken_launch_by_launch"
PLAIN_T = f"{HERE}::test_without_a_prior_the_interval_is_that_of_the_ordinary_t"
WEIGHTED = f"{HERE}::test_the_moderated_variance_is_weighted_by_degrees_of_freedom"
TRIMMED = f"{HERE}::test_ten_launches_are_trimmed_and_their_squares_winsorized"
RANKS = f"{HERE}::test_the_interval_of_the_time_runs_between_order_statistics"
OVER_LAUNCHES = f"{HERE}::test_the_interval_of_the_time_is_over_launches_and_not_over_rounds"
BY_HAND = f"{HERE}::test_the_prior_of_three_cells_is_that_of_the_two_moments"
OUTSIDE = f"{WHOLE}::test_a_cell_is_never_compared_outside_its_group"
OWN = f"{WHOLE}::test_each_ratio_is_that_of_its_own_samples_to_its_own_baselines"
TOO_FEW = f"{WHOLE}::test_under_six_launches_the_ends_of_the_interval_are_null_with_the_reason"
# what stands in front of the ends of the interval, here and not in Welch's
MODERATED_END = ") * error\n    return _figure(\n        "

FAULTS = (
    Fault(
        "minimum_for_lower_quartile",
        FILE,
        "[_lower_quartile(row) for row in rows]",
        "[float(row.min()) for row in rows]",
        "the minimum falls with every round, so more rounds look faster",
        (QUARTILE,),
    ),
    Fault(
        "mean_for_lower_quartile",
        FILE,
        "[_lower_quartile(row) for row in rows]",
        "[float(row.mean()) for row in rows]",
        "one disturbed round moves the estimate",
        (QUARTILE,),
    ),
    Fault(
        "mean_over_launches",
        FILE,
        "return _figure(float(np.median(ordered)), low",
        "return _figure(float(np.mean(ordered)), low",
        "one disturbed launch moves the time",
        (f"{HERE}::test_the_time_is_the_median_over_launches",),
    ),
    Fault(
        "interval_from_rounds",
        FILE,
        "    ordered = np.sort(lower_quartiles(launches))\n",
        "    lower_quartiles(launches)\n"
        "    ordered = np.sort(np.concatenate([np.ravel(row) for row in launches]))\n",
        "the rounds of a process are taken for independent draws",
        (OVER_LAUNCHES,),
    ),
    Fault(
        "launches_pooled_into_one",
        FILE,
        "return np.array([_lower_quartile(row) for row in rows], dtype=np.float64)",
        "return np.array([_lower_quartile(np.concatenate(rows))] * len(rows))",
        "every launch gets the quartile of all: the interval vanishes",
        (QUARTILE, OVER_LAUNCHES),
    ),
    Fault(
        "rank_too_far_inside",
        FILE,
        "misses = 2 * scipy.special.bdtr(ranks - 1.0, count, 0.5)",
        "misses = scipy.special.bdtr(ranks - 1.0, count, 0.5)",
        "a two-sided interval with a one-sided level",
        (RANKS,),
    ),
    Fault(
        "unpaired_launches",
        FILE,
        "return np.log(lower_quartiles(cell) / lower_quartiles(baseline))",
        "return np.log(np.sort(lower_quartiles(cell)) / np.sort(lower_quartiles(baseline)))",
        "what a launch's cells have in common does not cancel",
        (f"{HERE}::test_launches_are_paired_as_measured_and_not_by_their_size",),
    ),
    Fault(
        "ratio_to_the_baselines_mean",
        FILE,
        "return np.log(lower_quartiles(cell) / lower_quartiles(baseline))",
        "return np.log(lower_quartiles(cell) / np.mean(lower_quartiles(baseline)))",
        "each launch is compared with the average of the others",
        (f"{HERE}::test_launches_are_paired_as_measured_and_not_by_their_size",),
    ),
    Fault(
        "ratio_inverted",
        FILE,
        "return np.log(lower_quartiles(cell) / lower_quartiles(baseline))",
        "return np.log(lower_quartiles(baseline) / lower_quartiles(cell))",
        "faster is called slower",
        (f"{HERE}::test_a_log_ratio_is_paired_by_launch", OWN),
    ),
    Fault(
        "ratio_of_unequal_launches",
        FILE,
        "    if len(baseline) != len(cell):\n",
        "    baseline = baseline[: len(cell)]\n    if len(baseline) != len(cell):\n",
        "what was measured more often is cut until it fits",
        (f"{HERE}::test_different_numbers_of_launches_are_not_paired",),
    ),
    Fault(
        "ratio_of_differences",
        FILE,
        f"{MODERATED_END}math.exp(centre), math.exp(centre - half), math.exp(centre + half)",
        f"{MODERATED_END}math.exp(centre), math.exp(centre) - half, math.exp(centre) + half",
        "an interval of logarithms is laid around a ratio",
        (PLAIN_T,),
    ),
    Fault(
        "variance_not_divided_by_launches",
        FILE,
        "math.sqrt(variance / np.size(d))",
        "math.sqrt(variance)",
        "the spread of one launch is taken for that of the mean",
        (WEIGHTED, PLAIN_T),
    ),
    Fault(
        "yuens_factor_left_out",
        FILE,
        "variance = squares * count / (len(kept) * dof)",
        "variance = squares / (count - 1)",
        "the trimmed mean with the standard error of an untrimmed one",
        (TRIMMED,),
    ),
    Fault(
        "trimmed_but_not_winsorized",
        FILE,
        "winsorized = np.clip(ordered, kept[0], kept[-1])",
        "winsorized = kept",
        "the spread of what is left after trimming is too small",
        (TRIMMED,),
    ),
    Fault(
        "trimmed_from_eleven_launches_on",
        FILE,
        "LAUNCHES_FOR_TRIMMING = 10",
        "LAUNCHES_FOR_TRIMMING = 11",
        "an estimator other than the one that was simulated",
        (TRIMMED,),
    ),
    Fault(
        "degrees_of_freedom_of_all_launches",
        FILE,
        "dof = len(kept) - 1",
        "dof = count - 1",
        "what was trimmed away is counted as knowledge",
        (TRIMMED,),
    ),
    Fault(
        "one_sided_quantile",
        FILE,
        "scipy.special.stdtrit(dof, (1 + confidence) / 2)) * error",
        "scipy.special.stdtrit(dof, confidence)) * error",
        "a 95 % interval that covers in 90 %",
        (PLAIN_T,),
    ),
    Fault(
        "normal_quantile",
        FILE,
        "scipy.special.stdtrit(dof, (1 + confidence) / 2)) * error",
        "scipy.special.ndtri((1 + confidence) / 2)) * error",
        "six launches are taken for infinitely many",
        (PLAIN_T,),
    ),
    Fault(
        "priors_degrees_of_freedom_dropped",
        FILE,
        "total = min(prior.dof + dof, max(prior.pooled_dof, dof))",
        "total = dof",
        "the variance is shrunk, and its t is that of the launches alone",
        (WEIGHTED,),
    ),
    Fault(
        "prior_claims_more_than_its_cells_know",
        FILE,
        "total = min(prior.dof + dof, max(prior.pooled_dof, dof))",
        "total = prior.dof + dof",
        "three cells that happen to agree give an interval as from infinitely many",
        (f"{HERE}::test_no_interval_claims_more_degrees_than_the_cells_have_together",),
    ),
    Fault(
        "prior_ignored",
        FILE,
        "variance = (prior.dof * prior.variance + own) / (prior.dof + dof)",
        "variance = variance + 0 * own",
        "more degrees of freedom, and nothing to show for them",
        (WEIGHTED,),
    ),
    Fault(
        "shared_variance_ignored",
        FILE,
        "    if prior.dof == math.inf:\n        variance = prior.variance\n",
        "    if prior.dof == math.inf:\n        variance = max(variance, 0.0)\n",
        "with infinitely many prior degrees the cell's own spread is used",
        (f"{HERE}::test_with_infinite_degrees_the_interval_is_normal",),
    ),
    Fault(
        "priors_spread_over_n",
        FILE,
        "centred.var(ddof=1)",
        "centred.var()",
        "the spread of few cells is taken over n, not n − 1",
        (BY_HAND,),
    ),
    Fault(
        "sampling_error_not_taken_out_of_the_prior",
        FILE,
        "- scipy.special.polygamma(1, half).mean())",
        "- 0 * scipy.special.polygamma(1, half).mean())",
        "what the variances spread by chance is taken for a difference of the cells",
        (BY_HAND,),
    ),
    Fault(
        "priors_logarithm_not_centred",
        FILE,
        "centred = logs - scipy.special.digamma(half) + np.log(half)",
        "centred = logs",
        "the mean logarithm of a variance is not the logarithm of its mean",
        (BY_HAND,),
    ),
    Fault(
        "prior_of_two_cells",
        FILE,
        "CELLS_FOR_PRIOR = 3",
        "CELLS_FOR_PRIOR = 2",
        "two cells say what a session's spread is",
        (f"{HERE}::test_fewer_than_three_cells_have_no_prior",),
    ),
    Fault(
        "interval_from_three_launches",
        FILE,
        "LAUNCHES_FOR_INTERVAL = 6",
        "LAUNCHES_FOR_INTERVAL = 3",
        "an interval where there is too little to make one",
        (f"{HERE}::test_five_launches_give_an_estimate_and_no_interval", TOO_FEW),
    ),
    Fault(
        "one_prior_for_both_frameworks",
        ESTIMATION,
        'spreads.setdefault(record["framework"], []).append((variance, dof))',
        'for each in ("torch", "jax"):\n'
        "            spreads.setdefault(each, []).append((variance, dof))",
        "one framework's noise widens the other's intervals",
        (f"{WHOLE}::test_the_prior_is_shared_within_a_framework_and_not_across",),
    ),
    Fault(
        "compared_with_itself",
        ESTIMATION,
        "return log_ratios(_of(baseline, samples), _of(record, samples))",
        "return log_ratios(_of(record, samples), _of(record, samples))",
        "every ratio is 1, with an interval of no width",
        (OWN,),
    ),
    Fault(
        "another_cells_samples",
        ESTIMATION,
        "    launches = samples.get(sample_key(record))\n",
        "    launches = next((v for k, v in samples.items() if record['strategy'] in k), None)\n",
        "samples are looked up by the strategy's name, at whatever size comes first",
        (OWN,),
    ),
    Fault(
        "baseline_of_another_variant",
        ESTIMATION,
        '"kind", "scenario", "variant", "size", "framework"',
        '"kind", "scenario", "size", "framework"',
        "cells are compared that were not measured interleaved",
        (OUTSIDE,),
    ),
    Fault(
        "baseline_of_another_precision",
        ESTIMATION,
        '"mode", "phase", "device", "dtype",',
        '"mode", "phase", "device",',
        "float32 is called faster than float64",
        (OUTSIDE,),
    ),
    Fault(
        "baseline_that_failed_is_compared_with",
        ESTIMATION,
        'if baseline["outcome"] != "ok":',
        'if baseline["outcome"] is None:',
        "a ratio to a time that was thrown away",
        (f"{WHOLE}::test_a_baseline_that_failed_is_the_reason_for_no_ratio",),
    ),
    Fault(
        "time_for_wrong_gradients",
        ESTIMATION,
        'if record["outcome"] == "ok":\n            _put_seconds',
        'if record["outcome"] != "unsupported":\n            _put_seconds',
        "a cell that was refused a time gets one from its samples",
        (f"{WHOLE}::test_a_baseline_that_failed_is_the_reason_for_no_ratio",),
    ),
)
