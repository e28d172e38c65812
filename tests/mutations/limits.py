"""Faults of time limits, of full disks, of pauses, and of what the timed call returned."""

from __future__ import annotations

from tests.mutations.fault import Fault

LIMITS, DISK = "tests/integration/test_limits.py", "tests/integration/test_full_disk.py"
GATE = "tests/unit/harness/worker/test_gate.py"
PAUSES = "tests/unit/harness/worker/test_pauses.py"
MEASUREMENTS = "tests/unit/harness/session/test_measurements.py"
PEAK = "tests/unit/harness/measurement/test_peak_request.py"

FAULTS = (
    Fault(
        "time_out_forgotten",
        "benchmarks/harness/launches/time_outs.py",
        "        if spec.file:\n            self._messages[",
        "        if spec.file is spec:\n            self._messages[",
        "each group of a file waits anew for an import that never ends",
        (f"{LIMITS}::test_a_part_that_takes_too_long_is_one_time_out_for_the_whole_session",),
    ),
    Fault(
        "full_disk_ends_the_session_s_group_in_a_traceback",
        "benchmarks/harness/measurement/group.py",
        "isinstance(error, OSError) and disk.is_of_storage(error)",
        "isinstance(error, OSError) and disk.is_of_storage(error) is None",
        "a full disk is called a failure of the harness, and no folder is named",
        (f"{DISK}::test_full_disk_costs_the_groups_that_it_stops_and_no_other",),
    ),
    Fault(
        "timed_call_may_return_less",
        "benchmarks/harness/worker/gate.py",
        '    if lacking:\n        return f"the timed call',
        '    if lacking is None:\n        return f"the timed call',
        "what is timed computes fewer gradients than what is checked",
        (f"{GATE}::test_timed_call_must_return_what_is_checked",),
    ),
    Fault(
        "reference_may_lack_a_gradient",
        "benchmarks/harness/launches/float64_references.py",
        "        if demanded - there:\n",
        "        if demanded is there:\n",
        "with one framework the reference lacks what its cells lack",
        (
            "tests/integration/test_problems.py::test_reference_must_have_every_gradient_that_there_is",
        ),
    ),
    Fault(
        "paused_block_kept",
        "benchmarks/harness/worker/clock.py",
        "for i, s in enumerate(own) if i not in touched] for n",
        "for i, s in enumerate(own) if i not in {}] for n",
        "a sample in which the machine stood still counts",
        (f"{PAUSES}::test_block_in_which_the_machine_stood_still_is_taken_anew",),
    ),
    Fault(
        "samples_of_before_kept_when_a_cell_fails_again",
        "benchmarks/harness/session/measurements.py",
        "        self.forget(members)  # an earlier session may have recorded them\n",
        "",
        "a cell that fails when it is measured again shows its old times",
        (f"{MEASUREMENTS}::test_cell_that_fails_when_it_is_measured_again_has_no_time_of_before",),
    ),
    Fault(
        "prediction_over_the_first_cell",
        "benchmarks/harness/session/measurements.py",
        "baseline = cells.get(members[0].baseline)",
        "baseline = cells[members[0].strategy]",
        "the predicted ratio is that to whatever cell comes first",
        (f"{MEASUREMENTS}::test_prediction_is_cell_over_baseline_wherever_the_baseline_stands",),
    ),
    Fault(
        "peak_asked_for_in_no_mode",
        "benchmarks/harness/measurement/peak_memory.py",
        ', "phase": job["phase"], "mode": job["mode"]}',
        ', "phase": job["phase"]}',
        "the memory of the eager program stands beside the time of the compiled one",
        (f"{PEAK}::test_peak_memory_is_that_of_the_timed_cell_in_its_mode",),
    ),
    Fault(
        "gate_judges_by_a_reference_that_lacks_a_parameter",
        "benchmarks/harness/worker/gate.py",
        "problem, error = _incomplete(true, rules), None",
        "problem, error = None, None",
        "cell and reference lack the same gradient, and agree",
        (f"{GATE}::test_reference_that_lacks_a_parameter_judges_no_cell",),
    ),
    Fault(
        "closing_told_as_that_of_no_file",
        "benchmarks/harness/launches/float64_references.py",
        '            launch.ask("close")\n        path =',
        '        launch.ask("close")\n        path =',
        "a file that hangs when it is closed is not named, and hangs in each group anew",
        (f"{LIMITS}::test_closing_that_takes_too_long_is_a_time_out_unless_the_times_are_there",),
        narrow="float64",
    ),
    Fault(
        "why_a_measurement_ended_kept_for_the_next_one",
        "benchmarks/harness/session/measurements.py",
        "for noted in (self.paused, self.stopped):",
        "for noted in (self.paused,):",
        "a group that is measured again is said to have been short of time, as it was before",
        (f"{MEASUREMENTS}::test_what_is_noted_of_a_group_is_that_of_its_last_measurement",),
    ),
)
