"""Faults of the records: what a cell's outcome is, what is null and why, what reaches the disk."""

from __future__ import annotations

from tests.mutations.fault import EQUIVALENCE, Fault

RECORDS, RECORDING, STORAGE, REPORT = (
    "tests/unit/results/records/test_record.py",
    "tests/unit/harness/session/test_recording.py",
    "tests/unit/results/records/test_storage.py",
    "tests/unit/results/test_formatting.py",
)
NULL_WITH_REASON = (
    f"{RECORDING}::test_figure_that_could_not_be_had_is_null_with_its_reason_and_never_0"
)
FIGURES = (
    f"{RECORDING}::test_figures_are_the_ones_measured_and_the_prediction_is_cell_over_baseline"
)
NO_FIGURE = f"{RECORDING}::test_cell_that_failed_has_no_figure_but_what_is_wrong_with_its_gradients"
FAILS = f"{RECORDING}::test_cell_that_failed_fails_its_test_with_its_reason_and_command"
NATIVE = f"{RECORDING}::test_native_tables_get_each_sample_once_and_in_order"
MACHINE = f"{RECORDING}::test_machine_is_known_by_what_is_stable_and_by_nothing_else"
SAME_MACHINE = "tests/unit/machine/test_environment.py::test_identity_is_the_same_whatever_goes_on"
PRODUCTS = f"{EQUIVALENCE}::test_products_that_the_peak_is_taken_from_are_the_ones_computed"
FULL_DISK = f"{STORAGE}::test_a_full_disk_is_said_in_one_line_and_keeps_the_last_checkpoint"

FAULTS = (
    Fault(
        "null_becomes_zero",
        "benchmarks/harness/session/recording.py",
        '"flops": figures.get("flops") or None,',
        '"flops": figures.get("flops") or 0,',
        "what was not counted is shown as none at all",
        (NULL_WITH_REASON,),
    ),
    Fault(
        "not_finite_becomes_zero",
        "results/records/record.py",
        '            reasons[path] = f"not a finite number: {value}"\n        return None\n',
        '            reasons[path] = f"not a finite number: {value}"\n        return 0.0\n',
        "NaN is written as 0, since JSON has none",
        (f"{RECORDS}::test_a_figure_that_is_not_finite_becomes_null_with_the_reason",),
    ),
    Fault(
        "reason_of_a_null_dropped",
        "results/records/record.py",
        '{**finished, "missing": {path: finished["missing"][path] for path in nulls}}',
        '{**finished, "missing": {path: "" for path in nulls}}',
        "a figure is not there, and nobody knows why",
        (f"{RECORDS}::test_explain_gives_one_reason_to_every_null_and_keeps_those_given",),
    ),
    Fault(
        "null_without_a_reason_passes",
        "results/records/record.py",
        "        if record[key] is None:\n            yield key\n        elif",
        '        if record[key] is None and key in record["missing"]:\n'
        "            yield key\n"
        "        elif",
        "only nulls that have a reason are asked for one",
        (f"{RECORDS}::test_a_null_without_a_reason_is_named",),
    ),
    Fault(
        "general_reason_over_the_particular",
        "results/records/record.py",
        'dict.fromkeys(null_paths(record), clean(reason)) | record["missing"]',
        'record["missing"] | dict.fromkeys(null_paths(record), clean(reason))',
        "every figure's own reason is overwritten by one for all",
        (f"{RECORDS}::test_explain_gives_one_reason_to_every_null_and_keeps_those_given",),
    ),
    Fault(
        "failed_cell_counted_as_ok",
        "benchmarks/harness/session/recording.py",
        'if result["outcome"] != "ok":',
        'if result["outcome"] == "unsupported":',
        "a cell with wrong gradients is recorded as measured",
        (NO_FIGURE,),
    ),
    Fault(
        "failed_cell_passes_its_test",
        "benchmarks/harness/session/replay.py",
        "        pytest.fail(f\"{record['outcome']}: {reason}\\n{rerun}\", pytrace=False)",
        "        pytest.skip(f\"{record['outcome']}: {reason}\\n{rerun}\")",
        "a failure is skipped, and the session ends with 0",
        (FAILS,),
    ),
    Fault(
        "prediction_upside_down",
        "benchmarks/harness/session/recording.py",
        "return flops / baseline if flops and baseline else None",
        "return baseline / flops if flops and baseline else None",
        "predicted and measured ratio point opposite ways",
        (FIGURES,),
    ),
    Fault(
        "share_of_the_peak_by_the_mean",
        "benchmarks/harness/session/recording.py",
        "np.quantile(launch, 0.25)",
        "np.mean(launch)",
        "a share of another time than the one that is quoted",
        (f"{RECORDING}::test_share_of_the_peak_is_the_products_over_each_launchs_lower_quartile",),
    ),
    Fault(
        "peak_of_what_is_no_matrix_product",
        "benchmarks/harness/measurement/cell_results.py",
        "abs(total / flops - 1) < 0.05",
        "total / flops <= 1.05",
        "a convolution's time is held to the GEMM beside it",
        (
            "tests/integration/test_problems.py::"
            "test_only_cells_that_are_mostly_large_matrix_products_have_a_peak",
        ),
    ),
    Fault(
        "peak_counts_each_shape_once",
        "benchmarks/harness/measurement/cell_results.py",
        'best[f"product/{i}"] * count for',
        'best[f"product/{i}"] for',
        "ten products of one shape are taken for one",
        (
            "tests/integration/test_problems.py::"
            "test_peak_seconds_are_the_best_times_of_each_product_as_often_as_it_is_computed",
        ),
    ),
    Fault(
        "multiply_and_add_counted_as_one_in_torch",
        "impl_torch/gemms.py",
        "self.flops = 2 * rows * inner * columns",
        "self.flops = rows * inner * columns",
        "two conventions of counting meet, and half a peak is called a whole one",
        (PRODUCTS,),
        narrow="torch",
    ),
    Fault(
        "products_of_a_layer_with_bias_not_seen",
        "impl_torch/gemms.py",
        "PRODUCTS = {aten.mm.default: slice(0, 2), aten.addmm.default: slice(1, 3)}",
        "PRODUCTS = {aten.addmm.default: slice(1, 3)}",
        "one of the library's entry points is forgotten",
        (PRODUCTS,),
        narrow="torch",
    ),
    Fault(
        "products_that_nothing_needs_are_counted",
        "impl_jax/gemms.py",
        "in _executed(live):",
        "in _executed(program.jaxpr):",
        "what was traced and removed again is taken for work",
        (PRODUCTS,),
        narrow="jax",
    ),
    Fault(
        "product_of_one_shape_counted_once",
        "impl_jax/gemms.py",
        'counts[(left, right), equation.params["dimension_numbers"]] += times',
        'counts[(left, right), equation.params["dimension_numbers"]] = 1',
        "equal products of a cell are taken for one",
        (PRODUCTS,),
        narrow="jax",
    ),
    Fault(
        "first_sample_told_for_all",
        "benchmarks/harness/session/replay.py",
        "        self._next += 1\n",
        "",
        "pytest-benchmark's own tables show one sample again and again",
        (NATIVE,),
    ),
    Fault(
        "two_kinds_under_one_name",
        "results/records/record.py",
        "return f\"{record['kind']}/{cell_id(record)}\"",
        "return cell_id(record)",
        "the samples of one kind are taken for the other's",
        (f"{RECORDS}::test_cells_that_differ_in_any_field_have_different_sample_keys",),
    ),
    Fault(
        "launches_read_in_alphabetical_order",
        "results/records/samples.py",
        "return [launches[index] for index in range(len(launches))]",
        "return [launches[index] for index in sorted(launches, key=str)]",
        "launch 10 stands before launch 2, and the wrong ones are paired",
        (f"{STORAGE}::test_twelve_launches_come_back_in_the_order_measured",),
    ),
    Fault(
        "missing_launch_passes",
        "results/records/samples.py",
        "    if sorted(launches) != list(range(len(launches))):\n",
        "    launches = dict(enumerate(launches.values()))\n"
        "    if sorted(launches) != list(range(len(launches))):\n",
        "what is left is numbered anew, and the wrong launches are paired",
        (f"{STORAGE}::test_samples_that_lack_a_launch_are_refused",),
    ),
    Fault(
        "samples_unpickled",
        "results/records/samples.py",
        "= _read_row(packed_row, entry)",
        "= np.lib.format.read_array(packed_row, allow_pickle=True)",
        "a results file runs code",
        (f"{STORAGE}::test_samples_with_pickled_objects_are_refused_unread",),
    ),
    Fault(
        "json_before_its_samples",
        "results/records/storage.py",
        "contents = {samples_path(target): packed(run.samples), target: _document(run)}",
        "contents = {target: _document(run), samples_path(target): packed(run.samples)}",
        "a run that is stopped between the two has a record and no samples",
        (f"{STORAGE}::test_the_json_appears_only_after_the_samples",),
    ),
    Fault(
        "written_over_the_last_checkpoint",
        "results/records/storage.py",
        "        _write_all(temporary)\n",
        "        for path, data in contents.items():\n"
        "            path.parent.mkdir(parents=True, exist_ok=True)\n"
        "            path.write_bytes(data[:9])\n"
        "        _write_all(temporary)\n",
        "a full disk takes with it what was saved before",
        (FULL_DISK,),
    ),
    Fault(
        "machine_known_by_its_load",
        "benchmarks/machine/environment.py",
        'STABLE = (\n    "cpu",',
        'STABLE = (\n    "load", "cpu",',
        "every run is of another machine, and nothing can be compared",
        (SAME_MACHINE,),
    ),
    Fault(
        "machine_known_by_its_processor_alone",
        "benchmarks/machine/environment.py",
        '"python", "libraries", *PACKAGES,',
        '"python", "libraries",',
        "runs with another version of torch are taken for the same machine's",
        (MACHINE,),
    ),
    Fault(
        "bounds_of_the_interval_swapped",
        "results/formatting.py",
        "[{significant(ratio['low'])}, {significant(ratio['high'])}]",
        "[{significant(ratio['high'])}, {significant(ratio['low'])}]",
        "a page says the opposite of its record",
        (f"{REPORT}::test_a_ratio_shows_its_interval_and_without_one_only_itself",),
    ),
    Fault(
        "failures_left_off_the_page",
        "results/report/sections/absent.py",
        'if r["outcome"] not in ("ok", UNSUPPORTED)]',
        'if r["outcome"] == "crashed"]',
        "what timed out or was wrong does not show",
        (
            "tests/unit/results/report/test_pages.py::test_a_failed_cell_has_its_reason_and_its_command",
        ),
    ),
    Fault(
        "null_shown_as_zero",
        "results/formatting.py",
        '    return NOTHING if share is None else f"{significant(100 * share, 2)} %"\n',
        '    return f"{significant(100 * (share or 0), 2)} %"\n',
        "no figure and 0 look the same on the page",
        (f"{REPORT}::test_shares_are_rounded_and_null_is_a_dash",),
    ),
)
