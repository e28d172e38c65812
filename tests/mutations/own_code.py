"""Faults of what keeps a user's code apart: from other files' workers, from our pipes and state."""

from __future__ import annotations

from tests.mutations.fault import Fault

POOL = "benchmarks/harness/launches/pool.py"
HERE = "tests/integration/test_own_code_isolation.py"
APART = f"{HERE}::test_files_share_no_process_with_each_other_nor_with_our_scenarios"
CHILD = f"{HERE}::test_a_child_inherits_none_of_the_worker_s_descriptors"
LEFT = f"{HERE}::test_what_a_file_does_to_its_process_is_not_found_in_another_s"
DAEMONS = f"{HERE}::test_what_a_user_s_code_starts_in_a_session_of_its_own_ends_with_its_worker"
SWITCHES = (
    "tests/unit/harness/worker/test_process_switches.py"
    "::test_every_switch_is_seen_under_its_name_and_no_other"
)

FAULTS = (
    Fault(
        "one_worker_for_every_file",
        POOL,
        "launches = self._of_kind((framework, device, dtype, module, owner))\n            if",
        "launches = self._of_kind((framework, device, dtype, module, None))\n            if",
        "what one file switches, the next one is measured with",
        (APART,),
    ),
    Fault(
        "workers_of_the_file_before_go_on",
        POOL,
        "if key[-1] != kind[-1]\n",
        "if key[-1] == 0\n",
        "what a file has started beside its worker runs on while another is measured",
        (APART,),
    ),
    Fault(
        "one_worker_for_every_file_s_checks",
        "benchmarks/harness/launches/check_workers.py",
        "        key = framework, dtype, str(file) if file else None\n",
        "        key = framework, dtype, None\n",
        "the checks of one file run in the process of another",
        (f"{HERE}::test_checks_of_a_file_run_in_workers_of_its_own",),
    ),
    Fault(
        "one_launch_pair_for_every_file",
        "benchmarks/regression/plan.py",
        "        owners.setdefault(cell.owner, []).append(cell)\n",
        "        owners.setdefault(None, []).append(cell)\n",
        "files share their workers where two versions are compared",
        (f"{HERE}::test_versions_are_compared_in_workers_of_each_file_s_own",),
    ),
    Fault(
        "requests_left_on_stdin",
        "benchmarks/harness/worker/descriptors.py",
        "    os.dup2(empty, 0)\n",
        "",
        "a user's code reads the next request, and both processes wait for ever",
        (CHILD,),
    ),
    Fault(
        "forked_child_answers_too",
        "benchmarks/harness/worker/descriptors.py",
        "            os.dup2(nowhere, number, inheritable=False)\n",
        "            continue\n",
        "a child that runs on in our code takes a request and answers it",
        (CHILD,),
    ),
    Fault(
        "daemon_left_behind",
        "benchmarks/harness/launches/launch.py",
        "            strays.end_strays(self._mark)\n",
        "            pass\n",
        "what a user's code starts in a session of its own disturbs all that follows",
        (DAEMONS,),
    ),
    Fault(
        "clock_looks_for_its_functions_each_time",
        "benchmarks/harness/worker/clock.py",
        "    run, wait, now = program.run, program.wait, perf_counter\n",
        "    import time\n\n    run, wait, now = program.run, program.wait, time.perf_counter\n",
        "a user's code puts another function into the module time, and is timed by it",
        (
            "tests/unit/harness/worker/test_clock.py"
            "::test_functions_that_a_user_s_code_replaces_later_are_not_the_clock_s",
        ),
    ),
    Fault(
        "switch_not_looked_at",
        "impl_torch/switches.py",
        '    "torch\'s anomaly detection": torch.is_anomaly_enabled,\n',
        "",
        "who reads a file's times is not told that they were taken with anomaly detection",
        (SWITCHES,),
        narrow="torch",
    ),
    Fault(
        "notes_of_a_file_dropped",
        "benchmarks/harness/measurement/group.py",
        "    group.note_switches()\n",
        "",
        "what a file switched is found out and not told",
        (LEFT,),
    ),
    Fault(
        "spec_s_variables_reach_every_worker",
        "benchmarks/scenarios/external/time_limit.py",
        "    with kept_state.unchanged():\n",
        "    if True:\n",
        "a spec sets OMP_NUM_THREADS for all that is measured after it",
        (
            "tests/unit/test_kept_state.py"
            "::test_neither_reading_a_spec_nor_drawing_from_it_leaves_anything",
        ),
    ),
)
