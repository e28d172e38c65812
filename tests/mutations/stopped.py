"""Faults around a run's end: going on with one that was stopped, one at a time, what is left."""

from __future__ import annotations

from tests.mutations.fault import Fault

RESUME, LOCK = "benchmarks/harness/session/resume.py", "benchmarks/harness/session/lock.py"
FAILURES, LAUNCH = "results/records/failures.py", "benchmarks/harness/launches/launch.py"
HERE, ONE_AT_A_TIME, FAULTY = (
    "tests/system/test_resume.py",
    "tests/system/test_lock.py",
    "tests/integration/test_worker_faults.py",
)
LOST = f"{HERE}::test_run_without_samples_of_an_ok_cell_is_measured_again"
NEWEST = f"{HERE}::test_newest_of_this_machine_that_is_not_whole_is_found"
JUST_LIKE = f"{HERE}::test_run_of_a_session_just_like_this_one_is_taken"
TAKEN = f"{ONE_AT_A_TIME}::test_lock_is_taken_by_one_and_free_again_once_released"
TYPED = f"{FAULTY}::test_fault_is_typed_and_the_group_goes_on"
NO_CELL = f"{FAULTY}::test_worker_killed_at_no_cell_is_replaced_once"
POOL, CLOSING = "benchmarks/harness/launches/pool.py", "tests/integration/test_pool.py"
READABLE = "tests/system/test_endings.py::test_many_failures_stay_readable"

FAULTS = (
    Fault(
        "gone_on_with_on_another_machine",
        RESUME,
        '    if run.machine["id"] == machine["id"]:\n',
        '    if run.machine["cores"] == machine["cores"]:\n',
        "half of a run is of this machine, half of another",
        (f"{HERE}::test_other_machine_is_refused_and_what_differs_is_named",),
    ),
    Fault(
        "code_known_by_its_length",
        RESUME,
        'digest.update(f"{place.as_posix()} {len(content)}\\n".encode() + content)',
        'digest.update(f"{place.as_posix()} {len(content)}\\n".encode())',
        "a digit changed in what is timed goes on with the old times",
        (f"{HERE}::test_code_is_known_again_and_a_change_in_it_too",),
    ),
    Fault(
        "gone_on_with_other_settings",
        RESUME,
        "if name not in NOT_COMPARED and there != here:",
        'if name == "launches" and there != here:',
        "cells of one run are measured for another time each",
        (f"{HERE}::test_other_setting_is_refused",),
    ),
    Fault(
        "words_of_the_command_taken_for_settings",
        RESUME,
        "if name not in NOT_COMPARED and there != here:",
        "if there != here:",
        "no run can be gone on with, for its command has --resume in it",
        (JUST_LIKE,),
    ),
    Fault(
        "fewer_cells_are_the_same_cells",
        RESUME,
        "    if there == here:\n",
        "    if there & here:\n",
        "a run loses the cells that were not selected again",
        (f"{HERE}::test_other_cells_are_refused",),
    ),
    Fault(
        "half_a_group_measured_again",
        RESUME,
        "if not all(map(complete, members))]",
        "if not any(map(complete, members))]",
        "a cell is compared with a baseline of another hour",
        (LOST,),
    ),
    Fault(
        "cell_without_samples_called_measured",
        RESUME,
        ' and record["outcome"] == "ok" and sample_key(record) in samples',
        ' and record["outcome"] == "ok"',
        "a record whose samples are lost stays without a time for good",
        (LOST,),
    ),
    Fault(
        "oldest_stopped_run_gone_on_with",
        RESUME,
        "for path in reversed(storage.find_runs(folder)):",
        "for path in storage.find_runs(folder):",
        "a run that was given up long ago is filled in place of the last one",
        (NEWEST,),
    ),
    Fault(
        "interrupted_run_thought_whole",
        RESUME,
        "if run.finished is None or run.interrupted:",
        "if run.finished is None:",
        "a run that Ctrl-C ended has an end, and is not found",
        (NEWEST,),
    ),
    Fault(
        "run_of_another_machine_found",
        RESUME,
        "        if path.parent.name == machine:\n",
        "        if path.parent.name:\n",
        "the newest run is of another machine, and is refused",
        (NEWEST,),
    ),
    Fault(
        "command_names_two_runs",
        RESUME,
        '        if word == "--resume" and words and not words[0].startswith("-"):\n'
        "            words.pop(0)  # the run that the session itself continued\n"
        "        elif",
        "        if",
        "the command that goes on takes a run for a folder of tests",
        (f"{HERE}::test_command_that_goes_on_names_the_run_once",),
    ),
    Fault(
        "lock_shared_by_all",
        LOCK,
        "fcntl.LOCK_EX | fcntl.LOCK_NB",
        "fcntl.LOCK_SH | fcntl.LOCK_NB",
        "two runs measure at once, and each disturbs the other",
        (TAKEN,),
    ),
    Fault(
        "lock_file_removed_on_release",
        LOCK,
        "            os.close(self._fd)\n            self._fd = None\n",
        "            os.close(self._fd)\n            self._fd = None\n"
        "            self.path.unlink()\n",
        "a third run locks a new file beside a second that waits for the old one",
        (TAKEN,),
    ),
    Fault(
        "lock_file_followed_through_a_link",
        LOCK,
        "os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC",
        "os.O_CREAT | os.O_CLOEXEC",
        "another user's link has us empty a file of our own",
        (f"{ONE_AT_A_TIME}::test_lock_file_is_not_followed_through_a_link",),
    ),
    Fault(
        "failures_told_without_end",
        FAILURES,
        "for members in list(groups.values())[:GROUPS]:",
        "for members in list(groups.values()):",
        "one cause is told once for each of a hundred cells",
        (READABLE,),
    ),
    Fault(
        "other_failures_not_mentioned",
        FAILURES,
        "    if others:\n",
        "    if not reasons:\n",
        "what is not shown is not even counted",
        (READABLE,),
    ),
    Fault(
        "mark_of_a_killed_worker_not_read",
        LAUNCH,
        'raise self._crash_error("the worker ended", self._link.heartbeat.cell)',
        'raise self._crash_error("the worker ended", announced_cell)',
        "what kills a worker while it is timed is blamed on its whole group",
        (TYPED,),
        narrow="crash_timed",
    ),
    Fault(
        "limit_for_all_of_the_timing",
        LAUNCH,
        "if late > PAUSE_SECONDS else 0.0), since)\n",
        "if late > PAUSE_SECONDS else 0.0), 0.0)\n",
        "a group that is measured longer than an answer may take is killed",
        (f"{FAULTY}::test_timing_longer_than_the_limit_of_an_answer_is_no_hang",),
    ),
    Fault(
        "worker_outlives_its_parent",
        "benchmarks/harness/protocol/heartbeat.py",
        "    _die_when_closed(pipe)\n",
        "",
        "a worker that hangs is left behind, and disturbs the next run",
        (f"{FAULTY}::test_workers_die_with_the_process_that_started_them_whatever_they_do",),
    ),
    Fault(
        "every_death_excused",
        "benchmarks/harness/measurement/cell_results.py",
        "elif isinstance(error, WorkerCrashed) and not self._excused:",
        "elif isinstance(error, WorkerCrashed):",
        "a framework that dies at no cell is started again and again",
        (NO_CELL,),
        narrow="2-crashed",
    ),
    Fault(
        "abort_for_want_of_memory_called_a_crash",
        LAUNCH,
        "        if last_words.ran_out_of_memory(code, lines):",
        "        if code is None:",
        "C++ aborts where Python raises, and loses the type",
        (TYPED,),
        narrow="abort",
    ),
    Fault(
        "unsupported_called_a_crash",
        "benchmarks/harness/launches/worker_errors.py",
        'if error["type"] == "Unavailable" or error.get("unsupported"):',
        'if error["type"] == "Unavailable":',
        "what a compiler cannot do looks like a fault of the suite",
        (TYPED,),
        narrow="untraceable",
    ),
    Fault(
        "run_that_was_not_saved_ends_green",
        "benchmarks/conftest.py",
        "bench.save_error or bench.canary_failed or native",
        "bench.canary_failed or native",
        "a job's exit code says that all is well, and its results are lost",
        (
            "tests/system/test_endings.py::test_nowhere_to_save_is_said_and_costs_no_result_on_the_screen",
        ),
    ),
    Fault(
        "signal_given_to_another_thread_missed",
        "benchmarks/harness/session/session.py",
        "self.measurements.add_group(members, signal_safe_wait.result(future))",
        "self.measurements.add_group(members, future.result())",
        "Ctrl-C is lost where it comes while a thread is being started",
        (
            "tests/system/test_signal_safe_wait.py::test_session_ends_whichever_thread_a_signal_is_given_to",
        ),
        narrow="thread",
    ),
    Fault(
        "wakeup_pipe_made_for_each_wait",
        "benchmarks/harness/launches/signal_safe_wait.py",
        "    selector = selectors.DefaultSelector()\n",
        "    global _NEAR, _FAR\n"
        "    _NEAR, _FAR = socket.socketpair()\n"
        "    _FAR.setblocking(False)\n"
        "    selector = selectors.DefaultSelector()\n",
        "Ctrl-C leaves sockets open: a session that turns warnings into errors ends with 1, not 2",
        (
            "tests/system/test_signal_safe_wait.py::test_ctrl_c_at_any_line_of_a_wait_leaves_nothing_open",
        ),
    ),
    Fault(
        "signal_missed_while_references_are_taken",
        "benchmarks/regression/side_launches.py",
        "signal_safe_wait.result(future)",
        "future.result()",
        "Ctrl-C is lost where it comes while a thread is being started",
        (
            "tests/system/test_signal_safe_wait.py::test_float64_references_are_waited_for_in_this_way",
        ),
    ),
    Fault(
        "signal_missed_while_canaries_are_taken",
        "benchmarks/harness/measurement/canaries.py",
        "signal_safe_wait.result(submit(job))",
        "submit(job).result()",
        "Ctrl-C is lost where it comes while a thread is being started",
        ("tests/system/test_signal_safe_wait.py::test_canaries_are_waited_for_in_this_way",),
    ),
    Fault(
        "workers_forgotten_before_they_are_ended",
        POOL,
        "            for launch in launches:\n                launch.kill_nowait()\n",
        "            self._launches = {}\n",
        "a second Ctrl-C leaves workers that nobody knows of",
        (f"{CLOSING}::test_a_second_interrupt_while_it_closes_leaves_no_worker",),
    ),
    Fault(
        "worker_started_after_the_end",
        POOL,
        "        with self._changing:\n            self._demand_open()\n            launches = "
        "self._of_kind((framework, device, dtype, module, owner))\n            if",
        "        with threading.RLock():\n            self._demand_open()\n            launches = "
        "self._of_kind((framework, device, dtype, module, owner))\n            if",
        "a worker that nobody knows of is waited for when all else has ended",
        (f"{CLOSING}::test_worker_that_starts_while_the_pool_is_closed_is_ended",),
        narrow="several",
    ),
    Fault(
        "errand_begun_after_the_end",
        POOL,
        "            self._demand_open()\n            launch = self._launch(",
        "            launch = self._launch(",
        "a worker is started for a session that has ended",
        (f"{CLOSING}::test_closed_pool_starts_no_worker",),
        narrow="separate",
    ),
    Fault(
        "terminal_that_is_gone_ends_a_comparison_unsaved",
        "benchmarks/commands/regress.py",
        "    for stop in (signal.SIGTERM, signal.SIGHUP):",
        "    for stop in (signal.SIGTERM,):",
        "a connection breaks, and what was measured for an hour is neither shown nor kept",
        (
            "tests/integration/test_regress_command.py"
            "::test_other_signals_that_end_a_process_stop_it_as_ctrl_c_does",
        ),
    ),
)
