"""Faults of the regression tracker: of what is compared, what is said of it, and the history."""

from __future__ import annotations

from tests.mutations.fault import Fault

SAID, TREES, SESSION = (
    "tests/test_regression.py", "tests/test_trees.py", "tests/test_regress_session.py"
)  # fmt: skip
COMMAND, STORED, HISTORY = (
    "tests/test_regress_command.py", "tests/test_between.py", "tests/test_history.py"
)  # fmt: skip
RESULT, BETWEEN, CHANGES = "results/regression.py", "results/between.py", "results/changes.py"
CAST, RUNNING = "benchmarks/regress/cast.py", "benchmarks/regress/session.py"

FAULTS = (
    Fault(
        "wrong_gradients_are_no_regression",
        RESULT,
        "if verdicts & {WRONG, SLOWER}:",
        "if verdicts & {SLOWER}:",
        "the worst regression of all ends with 0",
        (f"{SAID}::test_the_exit_code_of_what_was_not_compared",),
    ),
    Fault(
        "a_shift_of_everything_is_no_regression",
        RESULT,
        "{one.verdict for one in self.findings} | {s.verdict for s in self.shifts}",
        "{one.verdict for one in self.findings}",
        "a framework that got slower as a whole ends with 0",
        (f"{SAID}::test_what_all_cells_of_a_framework_share_is_a_row_of_its_own",),
    ),
    Fault(
        "nothing_compared_is_nothing_slower",
        RESULT,
        "return NOTHING_SLOWER if told else UNDECIDED",
        "return UNDECIDED if INCONCLUSIVE in verdicts else NOTHING_SLOWER",
        "a base without any of the cells ends with 0",
        (f"{SAID}::test_where_nothing_was_compared_nothing_was_told",),
    ),
    Fault(
        "control_compared_with_head",
        RESULT,
        "d, control = logs[..., 1] - logs[..., 0], logs[..., 2] - logs[..., 0]",
        "d, control = logs[..., 1] - logs[..., 0], 0 * logs[..., 2]",
        "base against base is never looked at",
        (f"{SAID}::test_base_against_base_that_differs_makes_its_cell_inconclusive",),
    ),
    Fault(
        "frameworks_share_a_common_mode",
        RESULT,
        'owners = [(one["cell"]["framework"], metric) for metric in metrics for one in entries]',
        'owners = [("both", metric) for metric in metrics for one in entries]',
        "an upgrade of one framework is half hidden, and makes the other look faster",
        (f"{SAID}::test_what_all_cells_of_a_framework_share_is_a_row_of_its_own",),
    ),
    Fault(
        "mean_of_the_two_in_the_middle",
        "results/versus.py",
        "return np.where(np.abs(low) <= np.abs(high), low, high)",
        "return (low + high) / 2",
        "with two of four cells slower, half of it is taken for common",
        (f"{SAID}::test_two_changed_cells_of_four_do_not_pass_for_a_common_shift",),
    ),
    Fault(
        "first_samples_of_a_turn_kept",
        RESULT,
        "turn[min(dropped, len(turn) - 1) :]",
        "turn[:]",
        "samples taken on another's caches are counted",
        (f"{SAID}::test_a_launch_is_a_low_quantile_of_its_turns_without_their_first_samples",),
    ),
    Fault(
        "head_measured_for_base",
        CAST,
        'side = sides["head" if role == "head" else "base"]',
        'side = sides["head"]',
        "head is compared with itself, and nothing ever regresses",
        (f"{SESSION}::test_a_slower_head_is_found",),
    ),
    Fault(
        "gate_of_the_comparison_open",
        CAST,
        'if found["equivalence"] != "pass":',
        "if False:",
        "wrong gradients are timed",
        (f"{SESSION}::test_wrong_gradients_take_no_time",),
    ),
    Fault(
        "one_death_fails_a_cell",
        RUNNING,
        "if error.again or self.failures[key] > 1:",
        "if True:",
        "a worker killed from outside costs its cell",
        (f"{SESSION}::test_a_worker_that_dies_once_is_excused",),
    ),
    Fault(
        "budget_ignored",
        RUNNING,
        "if count and left < longest:",
        "if False:",
        "a session takes as long as it likes",
        (f"{SESSION}::test_the_budget_ends_it_and_nothing_is_told_too_early",),
    ),
    Fault(
        "new_files_left_behind",
        "benchmarks/regress/trees.py",
        '"--cached", "--others", "--exclude-standard"',
        '"--cached"',
        "what is not committed yet is not measured",
        (f"{TREES}::test_the_work_tree_is_copied_as_it_is_now",),
    ),
    Fault(
        "index_of_the_repository_used",
        "benchmarks/regress/trees.py",
        'own = {"GIT_INDEX_FILE": str(index)}',
        "own: dict[str, str] = {}",
        "writing out base unstages what the user has staged",
        (f"{TREES}::test_nothing_of_the_repository_is_touched",),
    ),
    Fault(
        "interruption_forgotten",
        "benchmarks/regress/comparing.py",
        'document["stopped"] = telling.INTERRUPTED',
        'document["stopped"] = None',
        "a session stopped by Ctrl-C passes for a whole one",
        (f"{COMMAND}::test_stopped_by_ctrl_c_it_shows_and_keeps_what_there_is",),
    ),
    Fault(
        "sessions_taken_for_exact",
        BETWEEN,
        "errors = [math.hypot(change.within, math.sqrt(2) * CELL_SPREAD) for change in changes]",
        "errors = [change.within for change in changes]",
        "what the machine does from day to day is called a regression",
        (f"{STORED}::test_unchanged_code_is_inconclusive_not_equal",),
    ),
    Fault(
        "machines_mixed",
        BETWEEN,
        'if one["id"] == other["id"]:',
        "if True:",
        "times of two machines are compared",
        (f"{STORED}::test_runs_of_two_machines_are_never_compared",),
    ),
    Fault(
        "autocorrelation_ignored",
        CHANGES,
        "AUTOCORRELATION = 0.6  #",
        "AUTOCORRELATION = 0.0  #",
        "drift of the machine is told as a change of the code",
        (f"{HISTORY}::test_unchanged_series_rarely_alarm",),
    ),
    Fault(
        "cache_believed_over_the_runs",
        "results/history.py",
        "if known.get(name) != stamp:",
        "if name not in known:",
        "a run that was written again is not read again",
        (f"{HISTORY}::test_a_run_that_changed_is_read_again_and_one_that_is_gone_is_dropped",),
    ),
)
