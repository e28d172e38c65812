"""Faults of the comparison of two versions, of its turns, and of the report page."""

from __future__ import annotations

from tests.mutations.fault import Fault

HERE, PAGES, ANSWERS = (
    "tests/unit/results/statistics/test_launch_pairs.py",
    "tests/unit/results/report/test_pages.py",
    "tests/unit/results/report/test_ranking.py",
)
NOTES = "tests/integration/test_notes_shown.py"
GOING_ON = "tests/unit/results/regression/test_scheduling.py"
PAIRS, CLOCK = "results/statistics/launch_pairs.py", "benchmarks/harness/worker/clock.py"
COMMON, LEVELS = "results/statistics/common_mode.py", "results/statistics/look_levels.py"
LEVELS_HERE = "tests/unit/results/statistics/test_look_levels.py"
COMMON_HERE = "tests/unit/results/statistics/test_common_mode.py"
CHOICE, REPORT = "results/report/ranking.py", "results/report/build.py"
IN_FRONT = f"{ANSWERS}::test_what_is_inconclusive_is_not_in_front_however_wide_its_interval"

FAULTS = (
    Fault(
        "alpha_spent_anew_at_each_look",
        LEVELS,
        "- int((~silent).sum())",
        "- 0",
        "each look may use up what the looks before have used already",
        (f"{LEVELS_HERE}::test_what_a_look_may_not_use_yet_is_left_for_later",),
    ),
    Fault(
        "all_of_alpha_at_any_time",
        LEVELS,
        "return alpha * share**2",
        "return alpha",
        "what the first look may alarm is what all together may",
        (f"{LEVELS_HERE}::test_all_of_alpha_is_spent_at_the_end_and_none_before_the_start",),
    ),
    Fault(
        "slower_cell_part_of_its_own_measure",
        COMMON,
        "_nearer_zero(without_each, of_all[..., None, :])",
        "np.broadcast_to(of_all[..., None, :], changes[..., None].shape)",
        "a slower cell in the middle is taken for common, and not found",
        (f"{COMMON_HERE}::test_a_slower_cell_keeps_all_of_its_change",),
    ),
    Fault(
        "versions_swapped",
        PAIRS,
        "math.log(above / below)",
        "math.log(below / above)",
        "what got slower is told as faster",
        (f"{HERE}::test_pair_ratio_is_that_of_the_quantiles",),
    ),
    Fault(
        "common_mode_left_in",
        COMMON,
        "own[..., last, :end] -= by_others[..., last, :]",
        "own[..., last, :end] -= 0 * by_others[..., last, :]",
        "a neighbour's load is a finding in every cell",
        (f"{HERE}::test_common_mode_is_taken_out_and_kept",),
    ),
    Fault(
        "cell_is_among_its_own_others",
        COMMON,
        "np.where(values <= at, above, at)",
        "np.where(values < at, above, at)",
        "a cell in the middle takes a part of its own change for common",
        (f"{COMMON_HERE}::test_shared_change_and_fluctuation_are_those_by_hand",),
    ),
    Fault(
        "common_change_by_each_pair_alone",
        COMMON,
        "by_all, by_others = _fluctuations(d, changes, counts)",
        "by_all, by_others = _fluctuations(d, 0 * changes, counts)",
        "a slower cell counts as common wherever noise puts it in the middle of a pair",
        (f"{COMMON_HERE}::test_noise_of_the_size_of_the_change_makes_the_others_no_faster",),
    ),
    Fault(
        "changes_with_the_drift_of_their_pairs",
        COMMON,
        "locations_at(d - by_all[..., None, :], counts)",
        "locations_at(d, counts)",
        "what all cells lost after some were decided is a change of those that go on",
        (f"{COMMON_HERE}::test_drift_after_a_cell_was_decided_is_no_change_of_the_others",),
    ),
    Fault(
        "levels_of_looks_for_a_quiet_machine",
        LEVELS,
        "COMMON_SPREAD = 5.0",
        "COMMON_SPREAD = 0.0",
        "under a neighbour's load three cells alarm three times as often as they may",
        (f"{LEVELS_HERE}::test_three_cells_under_a_load_alarm_no_more_than_they_may",),
    ),
    Fault(
        "common_mode_forgotten",
        COMMON,
        "return own, np.stack(common, axis=-2)",
        "return own, 0 * np.stack(common, axis=-2)",
        "a framework that got slower as a whole is hidden",
        (f"{HERE}::test_slowdown_of_everything_is_the_common_mode_and_no_cell",),
    ),
    Fault(
        "control_ignored",
        PAIRS,
        "np.where(passed, verdicts, INCONCLUSIVE), passed)",
        "verdicts, passed)",
        "base differs from base, and head is judged all the same",
        (f"{HERE}::test_control_outside_the_margin_makes_its_group_inconclusive",),
    ),
    Fault(
        "every_look_at_the_full_level",
        LEVELS,
        "return float(np.quantile(lowest, alpha))",
        "return alpha",
        "each look is one more chance of a false alarm",
        (f"{HERE}::test_all_looks_together_alarm_as_often_as_they_may",),
    ),
    Fault(
        "margin_of_versions_dropped",
        "results/statistics/verdict.py",
        "beyond = np.asarray(differs) & (np.abs(rows.log_ratio) > bound)",
        "beyond = np.asarray(differs)",
        "a change too small to matter is an alarm",
        (f"{HERE}::test_change_inside_the_margin_is_no_finding",),
    ),
    Fault(
        "finding_forgotten_at_the_next_look",
        PAIRS,
        "np.where(row_on & ~confirmed, latest.verdicts, before.verdicts)",
        "np.where(row_on, latest.verdicts, before.verdicts)",
        "what a test at its own level found is lost to a later one",
        (f"{HERE}::test_what_one_look_found_stays_unless_more_pairs_take_it_back",),
    ),
    Fault(
        "finding_kept_against_all_that_followed",
        PAIRS,
        "np.where(beyond, np.sign(latest.rows.log_ratio), 0)",
        "np.where(before.verdicts == SLOWER, 1, -1)",
        "slower by 0.3 %, says the table, for ten pairs of 24 said more",
        (f"{HERE}::test_what_one_look_found_stays_unless_more_pairs_take_it_back",),
    ),
    Fault(
        "finding_kept_though_its_control_broke",
        PAIRS,
        "(np.abs(latest.rows.log_ratio) > bound) & latest.control_passed",
        "np.abs(latest.rows.log_ratio) > bound",
        "a cell is slower, and beside it stands that something disturbed it",
        (f"{HERE}::test_finding_whose_control_breaks_later_is_taken_back",),
    ),
    Fault(
        "finding_kept_though_it_turned_round",
        PAIRS,
        "((before.verdicts == SLOWER) & (side > 0)) | ((before.verdicts == FASTER) & (side < 0))",
        "((before.verdicts == SLOWER) | (before.verdicts == FASTER)) & (side != 0)",
        "what is faster in the end is called slower",
        (f"{HERE}::test_what_one_look_found_stays_unless_more_pairs_take_it_back",),
        narrow="-0.3",
    ),
    Fault(
        "cpu_time_is_wall_time",
        CLOCK,
        "(process_time() - used) / calls",
        "(now() - start) / calls",
        "the second metric says what the first does",
        ("tests/unit/harness/worker/test_clock.py::test_a_turn_takes_wall_and_cpu_time_apart",),
    ),
    Fault(
        "unfrozen_competes",
        CHOICE,
        'return record["kind"] != FREEZE or not is_baseline(record)',
        "return True",
        "not to freeze is recommended as a way to freeze",
        (f"{ANSWERS}::test_the_unfrozen_network_never_competes_with_recipes_that_freeze",),
    ),
    Fault(
        "inconclusive_is_in_front",
        CHOICE,
        'return verdict in (FASTER, EQUAL) or (members[0]["kind"] == FREEZE and '
        "verdict != INCONCLUSIVE)",
        "return True",
        "a cell too noisy to be told is recommended",
        (IN_FRONT,),
    ),
    Fault(
        "machines_in_one_part",
        "results/report/collection.py",
        "machines.setdefault(place, Machine(place[0], [], mode))",
        'machines.setdefault(("", mode), Machine(place[0], [], mode))',
        "times of two machines are compared",
        (f"{PAGES}::test_two_machines_are_warned_of_and_no_ratio_crosses_them",),
    ),
    Fault(
        "distrust_left_off_the_page",
        REPORT,
        "*(warning for machine in machines for warning in _warnings_of_runs(machine)),",
        "*(),",
        "a run whose canaries failed looks like any other",
        (f"{PAGES}::test_a_failed_canary_stands_at_the_top",),
    ),
    Fault(
        "names_unescaped_on_the_page",
        "results/report/html.py",
        "autoescape=True,",
        "autoescape=False,",
        "a name from a file runs as a script",
        (f"{PAGES}::test_hostile_names_are_text_in_html",),
    ),
    Fault(
        "scripts_end_in_data",
        "results/report/html.py",
        'return text.replace("<", "\\\\u003c")',
        "return text",
        "a name in a chart's data ends the block it stands in",
        (f"{PAGES}::test_hostile_names_are_text_in_html",),
    ),
    Fault(
        "notes_of_both_sides_said_twice",
        "results/regression/notes.py",
        "note if len(names) == len(notes) else",
        "note if not names else",
        "what both versions of a file switch is said as if only one did",
        (f"{NOTES}::test_note_on_both_sides_is_said_once_and_another_with_its_side",),
    ),
    Fault(
        "note_said_once_a_cell",
        "results/terminal/run_page.py",
        "for note in dict.fromkeys(note for record in records for note in",
        "for note in iter(note for record in records for note in",
        "one switch of a file fills the screen",
        (f"{NOTES}::test_show_says_each_note_once_and_none_where_there_is_none",),
    ),
    Fault(
        "reason_said_once_a_cell",
        "results/terminal/regression_table.py",
        "        for alike in texts.values():\n",
        "        for alike in [[one] for some in texts.values() for one in some]:\n",
        "one reason of ten cells is ten lines",
        (
            "tests/unit/results/regression/test_document.py"
            "::test_a_reason_is_said_once_and_not_once_a_cell",
        ),
    ),
    Fault(
        "decided_at_a_look_and_measured_on",
        "benchmarks/regression/leaving.py",
        "        leave(document, standing, cells, frameworks)\n        announce(standing, cells)\n",
        "        announce(standing, cells)\n",
        "a look decides cells, and each launch pair goes on measuring them",
        (f"{GOING_ON}::test_after_a_look_decided_cells_leave_and_the_others_are_announced",),
    ),
    Fault(
        "all_cells_measured_while_confirming",
        "benchmarks/regression/leaving.py",
        "    leave(document, standing, *undecided(standing, chosen))\n",
        "",
        "the time for what looks slower is spent on all cells alike",
        (f"{GOING_ON}::test_what_is_confirmed_is_all_that_is_still_measured",),
    ),
)
