"""Faults of workers, launches and their pool, and of the handling of those that fail."""

from __future__ import annotations

from tests.mutations.fault import Fault

HERE = "tests/integration/test_worker_faults.py"
TYPED = f"{HERE}::test_fault_is_typed_and_the_group_goes_on"
ONE_LAUNCH = f"{HERE}::test_fault_of_one_launch_takes_the_samples_of_all"
OWN_PROCESS = f"{HERE}::test_each_launch_is_a_process_of_its_own_with_an_order_of_its_own"
BETWEEN = f"{HERE}::test_worker_killed_between_two_groups_is_replaced"
BUSY_TIME = "tests/unit/harness/protocol/test_busy_time.py"
STORE = "tests/unit/harness/launches/test_reference_store.py"

FAULTS = (
    Fault(
        "borrowed_worker_still_open",
        "benchmarks/harness/launches/check_workers.py",
        "        self._open.pop((framework, dtype, None), None)\n        return launch\n",
        "        return launch\n",
        "a check runs on the problem that another test has opened in its worker",
        (
            "tests/integration/test_session_workers.py::"
            "test_problem_is_opened_anew_after_its_worker_was_borrowed",
        ),
    ),
    Fault(
        "workers_of_the_checks_left_alive",
        "benchmarks/harness/launches/session_workers.py",
        "        config.add_cleanup(config.stash[WORKERS].close)\n",
        "",
        "each run of the tests leaves its workers behind",
        (
            "tests/integration/test_session_workers.py::"
            "test_problem_is_opened_anew_after_its_worker_was_borrowed",
        ),
    ),
    Fault(
        "cache_of_the_checks_stays_on",
        "tests/helpers/jax_cache.py",
        "        _use(before)\n",
        "",
        "what a later test compiles comes out of the cache of the checks",
        (
            "tests/integration/test_check_cache.py::"
            "test_programs_of_a_test_process_are_stored_and_its_settings_restored",
        ),
    ),
    Fault(
        "crash_ignored",
        "benchmarks/harness/measurement/group.py",
        "                self.results.blame(error)\n"
        "                self.preparation.replace_and_prepare(launch)\n",
        "                break\n",
        "a launch that died is left out, and its cells are ok",
        (TYPED,),
        narrow="crash_later",
    ),
    Fault(
        "samples_kept_after_a_failure",
        "benchmarks/harness/measurement/cell_results.py",
        "        self.samples, self.steady, self.peak_seconds = [], [], []\n",
        "",
        "times of a cell that failed later, or was wrong, are kept",
        (ONE_LAUNCH,),
        narrow="crash",
    ),
    Fault(
        "whole_group_blamed",
        "benchmarks/harness/measurement/cell_results.py",
        "            self._results[error.cell].fail(error.outcome, str(error))\n",
        "            self.fail_all(error.outcome, str(error))\n",
        "a strategy that crashes costs the others their times",
        (TYPED,),
        narrow="crash_later",
    ),
    Fault(
        "out_of_memory_called_a_crash",
        "benchmarks/harness/launches/worker_errors.py",
        'return "out_of_memory" if error.get("out_of_memory") else "crashed"',
        'return "crashed"',
        "a typed failure loses its type",
        (TYPED,),
        narrow="greedy",
    ),
    Fault(
        "one_process_for_all_launches",
        "benchmarks/harness/measurement/group.py",
        "            launch = self.workers.launch(index)\n            try:\n",
        "            launch = self.workers.launch(0)\n            try:\n",
        "six rounds of one process are called six launches",
        (OWN_PROCESS,),
    ),
    Fault(
        "one_seed_for_all_launches",
        "benchmarks/harness/measurement/group.py",
        'seed=[job["seed"], index],',
        'seed=[job["seed"], 0],',
        "every launch measures in the same random order",
        (OWN_PROCESS,),
    ),
    Fault(
        "dead_worker_kept",
        "benchmarks/harness/launches/pool.py",
        "            if launch.dead:\n",
        "            if launch.dead is None:\n",
        "one crash fails every group that follows",
        (BETWEEN,),
    ),
    Fault(
        "reference_not_tried_again",
        "benchmarks/harness/measurement/group.py",
        "        except WorkerError:\n            return compute(",
        "        except ZeroDivisionError:\n            return compute(",
        "the death of the reference's worker costs a group",
        (f"{HERE}::test_worker_killed_at_no_cell_is_replaced_once",),
        narrow="float64",
    ),
    Fault(
        "library_prints_among_the_answers",
        "benchmarks/harness/worker/descriptors.py",
        "    os.dup2(2, 1)\n",
        "",
        "a line that a library prints is taken for an answer",
        (f"{HERE}::test_what_a_library_prints_is_no_answer_and_does_no_harm",),
    ),
    Fault(
        "nonsense_passed_over",
        "benchmarks/harness/launches/launch.py",
        "                raise self._crash_error(reason, announced_cell) from None\n",
        "                continue\n",
        "what cannot be read is skipped until something can",
        (TYPED,),
        narrow="garbage",
    ),
    Fault(
        "no_limit_on_an_answer",
        "benchmarks/harness/launches/launch.py",
        "                if now - start < timeout:\n",
        "                if now - start < 30.0 + timeout:\n",
        "a worker that hangs is waited for",
        (f"{HERE}::test_limit_is_for_each_cell_and_not_for_all_of_the_timing",),
    ),
    Fault(
        "missing_device_called_a_crash",
        "benchmarks/harness/launches/worker_errors.py",
        'if error["type"] == "Unavailable" or',
        'if error["type"] == "unavailable" or',
        "a machine without a GPU looks broken",
        (f"{HERE}::test_device_that_the_framework_lacks_is_unsupported_with_its_reason",),
    ),
    Fault(
        "gates_time_counted_as_work",
        "benchmarks/harness/worker/timing.py",
        "        verdict = self._judge(program, true, rules)\n",
        "        with self.working():\n            verdict = self._judge(program, true, rules)\n",
        "what the harness does for itself is hidden in its workers' time",
        ("tests/integration/test_busy_time.py::test_time_of_the_gate_is_none_of_a_workers",),
    ),
    Fault(
        "two_workers_at_once_counted_twice",
        "benchmarks/harness/protocol/busy_time.py",
        "end - max(begin, reached)",
        "end - begin",
        "workers work for longer than the session lasts",
        (f"{BUSY_TIME}::test_second_in_which_several_worked_counts_once",),
    ),
    Fault(
        "replaced_worker_not_prepared",
        "benchmarks/harness/measurement/group.py",
        "                self.preparation.ensure_prepared(self.workers.launch(index))\n",
        "                self.workers.launch(index)\n",
        "a worker that died unseen costs the cells that its successor was never told of",
        (
            "tests/integration/test_capacity.py::"
            "test_a_worker_that_died_since_it_was_prepared_is_replaced_by_a_prepared_one",
        ),
    ),
    Fault(
        "memory_of_the_group_before_kept",
        "benchmarks/harness/measurement/group.py",
        "    group.workers.free_memory()\n",
        "",
        "idle workers of the other framework fill the memory, and the kernel kills the one at work",
        (
            "tests/integration/test_capacity.py::"
            "test_workers_that_hold_too_much_after_a_group_are_fresh_for_the_next_one",
        ),
    ),
    Fault(
        "all_launches_hold_what_one_hardly_can",
        "benchmarks/harness/measurement/group.py",
        "            if self.preparation.exceeds_memory:\n",
        "            if False:\n",
        "six launches of a large problem fill the memory, and the kernel kills one",
        (
            "tests/integration/test_capacity.py::test_where_memory_is_short_one_launch_at_a_time_holds_the_problem",
        ),
    ),
    Fault(
        "garbage_blamed_on_the_cell_that_is_timed_now",
        "benchmarks/harness/launches/launch.py",
        "raise self._crash_error(reason, announced_cell) from None",
        "raise self._crash_error(reason, self._link.heartbeat.cell) from None",
        "a cell is blamed for a line that was written while another one was timed",
        (f"{HERE}::test_garbage_while_timing_costs_its_group_alone",),
    ),
    Fault(
        "stored_reference_found_whatever_the_weights",
        "benchmarks/harness/launches/reference_store.py",
        "            [_digest(Path(name)) for name in (self.files.weights, self.files.data)],\n",
        "",
        "a problem with other weights is held to the gradients of an earlier one",
        (f"{STORE}::test_other_weights_are_another_reference",),
    ),
    Fault(
        "stored_reference_found_whatever_the_code",
        "benchmarks/harness/launches/reference_store.py",
        "_text([code, check_cache.key(flags)])",
        "_text([check_cache.key(flags)])",
        "a fault that was mended lives on in the references of earlier sessions",
        (f"{STORE}::test_another_problem_code_or_release_is_computed_anew",),
    ),
    Fault(
        "damaged_reference_ends_the_session",
        "benchmarks/harness/launches/reference_store.py",
        "DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)",
        "DAMAGED = (OSError,)",
        "a file that was cut off by a full disk costs every session its cells",
        (f"{STORE}::test_damaged_file_is_computed_anew",),
    ),
)
