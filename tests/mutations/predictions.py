"""Faults of limits: what operations move, how long they take, and what is predicted from that."""

from __future__ import annotations

from tests.mutations.fault import Fault

TORCH = "tests/unit/test_torch_operations.py"
JAX = "tests/unit/test_jax_operations.py"
CALIBRATION = "tests/unit/test_jax_calibration.py"
LIMITS = "tests/unit/harness/measurement/test_limits.py"
REPORT = "tests/unit/results/report/test_limits.py"

FAULTS = (
    Fault(
        "overwritten_array_not_read",
        "impl_torch/operation_arguments.py",
        "    also_read = [] if name in OVERWRITE else overwritten\n",
        "    also_read: list[torch.Tensor] = []\n",
        "an update in place is taken for one that only writes",
        (f"{TORCH}::test_a_step_of_adamw_counts_what_each_of_its_operations_overwrites",),
    ),
    Fault(
        "fused_optimizer_writes_its_gradients",
        "impl_torch/operation_arguments.py",
        '        if schema.name in FUSED and argument.name == "grads" and',
        '        if argument.name == "no grads" and',
        "a fused step is charged with writing back gradients that it only reads",
        (f"{TORCH}::test_a_fused_step_of_adamw_reads_and_writes_each_array_once",),
    ),
    Fault(
        "convolution_reads_what_no_gradient_needs",
        "impl_torch/operation_arguments.py",
        "        read = _needed_by_convolution(args)\n",
        "        read = list(args[:3])\n",
        "a frozen layer's backward pass seems to move what it never touches",
        (f"{TORCH}::test_a_convolution_reads_only_what_the_gradients_asked_for_need",),
    ),
    Fault(
        "loop_counted_once",
        "impl_jax/operations.py",
        "times * int(trips[1] if trips else 1)",
        "times",
        "a loop of a hundred turns costs one",
        (f"{JAX}::test_a_loop_counts_its_body_as_often_as_it_runs_and_rows_as_what_they_are",),
    ),
    Fault(
        "padding_counted_as_work",
        "impl_jax/operation_arguments.py",
        "return sum(p % dilated == 0 and 0 <= p // dilated < size for p in places)",
        "return sum(p % dilated == 0 for p in places)",
        "zeros around an image are counted as if XLA multiplied by them",
        (f"{JAX}::test_a_convolution_leaves_out_what_falls_into_the_padding",),
    ),
    Fault(
        "product_moved_out_of_its_loop",
        "impl_jax/calibration.py",
        "            return _with_element(operand, made), made\n",
        "            return operand, made\n",
        "XLA computes once what is the same in all turns, and every product seems to take no time",
        (f"{CALIBRATION}::test_every_turn_of_a_loop_computes_the_product",),
    ),
    Fault(
        "call_counted_into_an_operation",
        "impl_jax/calibration.py",
        "        return max(self._many - self._few, 0.0) / ((MORE - 1) * turns)\n",
        "        return self._few / turns\n",
        "an operation is charged with waking threads, so that a cell of many passes its limit",
        (f"{CALIBRATION}::test_what_a_call_costs_is_no_part_of_an_operation",),
    ),
    Fault(
        "program_compiled_for_each_measurement",
        "impl_jax/calibration.py",
        "        if key not in self._programs:\n            with",
        "        if key:\n            with",
        "setting limits takes twice as long as it must",
        (f"{CALIBRATION}::test_a_program_is_compiled_once_and_an_empty_turn_left_out",),
    ),
    Fault(
        "pool_takes_as_long_as_its_bytes",
        "impl_jax/operations.py",
        '    if one.opcode == "reduce-window":\n',
        '    if one.opcode == "no pool":\n',
        "a network with pools is predicted to take half its time",
        (f"{JAX}::test_a_pool_runs_alone_with_its_window",),
    ),
    Fault(
        "call_of_an_operation_left_out",
        "benchmarks/harness/measurement/limits.py",
        '    each = best + machine["dispatch"].get(operation["dispatch"], 0.0)\n',
        "    each = best\n",
        "a cell of a thousand tiny operations is predicted to take no time",
        (f"{LIMITS}::test_an_operation_takes_the_longest_of_its_parts_and_its_call",),
    ),
    Fault(
        "band_on_one_side_alone",
        "results/records/limits.py",
        "    return abs(math.log(measured / predicted)) <= math.log1p(NEAR)\n",
        "    return math.log(measured / predicted) <= math.log1p(NEAR)\n",
        "whatever is faster than predicted counts as predicted",
        (f"{REPORT}::test_ratios_within_ten_percent_are_counted_for_each_framework",),
    ),
    Fault(
        "limit_that_was_passed_is_kept",
        "benchmarks/harness/session/recording.py",
        '(seconds > _lower_quartiles(result["samples"])).all()',
        "False",
        "a cell reaches forty times its limit, and its predicted ratio is that of a disturbance",
        (
            "tests/unit/harness/session/test_recording.py::"
            "test_limit_that_every_launch_has_passed_is_none",
        ),
    ),
    Fault(
        "operation_alone_measured_once",
        "benchmarks/harness/worker/rates.py",
        "left = fallen",
        "left = set()",
        "what a neighbour slowed is taken for the rate of the machine",
        (
            "tests/unit/harness/worker/test_rates.py::"
            "test_what_a_neighbour_slowed_is_measured_until_it_falls_no_more",
        ),
    ),
    Fault(
        "programs_of_cells_kept_from_session_to_session",
        "impl_jax/runtime.py",
        "            _use_cache(before)\n",
        "            pass\n",
        "a compile time is that of reading a program which an earlier session compiled",
        (f"{CALIBRATION}::test_only_what_measures_the_machine_is_kept_from_session_to_session",),
    ),
)
