"""Faults of what another system than Linux gets, and of the matrix of releases."""

from __future__ import annotations

from tests.mutations.fault import Fault

ELSEWHERE = "tests/integration/test_without_linux.py"
CORES = f"{ELSEWHERE}::test_cores_of_a_process_are_neither_read_nor_kept_nor_shared_out"
MATRIX = "tests/unit/evaluation/test_matrix.py"
EVERY_TRAP = f"{MATRIX}::test_every_trap_is_selected_in_one_step_or_the_other"

FAULTS = (
    Fault(
        "cores_read_where_none_can_be_taken",
        "benchmarks/harness/worker/process_switches.py",
        '    raise OSError(errno.ENOSYS, "a process of this system has no affinity")',
        "    return os.cpu_count() or 1",
        "what no system tells is told as a switch of the process",
        (CORES,),
    ),
    Fault(
        "cores_kept_where_there_are_none",
        "benchmarks/scenarios/external/kept_state.py",
        '    if not hasattr(os, "sched_setaffinity"):\n        return []\n',
        "",
        "on macOS no network of a user's own can be loaded",
        (CORES,),
    ),
    Fault(
        "traps_of_whole_kinds_in_no_release",
        "benchmarks/evaluation/releases/checking.py",
        'TRAPS += ["--benchmark-skip", "-m", "slow"]',
        'TRAPS += ["--benchmark-skip", "-m", "slow and serial"]',
        "a release brings an optimizer that behaves otherwise, and its row says passed",
        (EVERY_TRAP,),
    ),
)
