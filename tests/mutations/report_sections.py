"""Faults of the sections of a report: a picture, a bar, a fold shows what was measured."""

from __future__ import annotations

from tests.mutations.fault import Fault

CHARTS = "tests/unit/results/report/test_charts.py"
LAYOUT = "tests/unit/results/report/test_layout.py"
PAGES = "tests/unit/results/report/test_pages.py"
MARKS = "tests/unit/results/report/test_layers_and_marks.py"
ANSWERS = "tests/unit/results/report/test_answer.py"
OWN = "tests/unit/results/report/test_own_code_page.py"
FAULTS = (
    Fault(
        "each_verdict_counted_once",
        "results/report/record_cells.py",
        "    counts = Counter(verdicts)\n",
        "    counts = Counter(set(verdicts))\n",
        "a way that was slower on eleven networks has a bar as long as one on a single network",
        (f"{LAYOUT}::test_verdicts_are_a_bar_and_the_same_in_words",),
    ),
    Fault(
        "second_screen_of_a_chart_left_out",
        "results/report/by_size.py",
        "for start in range(0, len(lines), MOST_LINES)]",
        "for start in range(0, MOST_LINES, MOST_LINES)]",
        "a chart that is split shows its first lines alone",
        (f"{CHARTS}::test_a_chart_with_more_lines_than_a_screen_holds_is_split",),
    ),
    Fault(
        "fields_packed_in_another_order",
        "results/report/html.py",
        "_rounded(value) for value in row.values()]",
        "_rounded(value) for value in list(row.values())[::-1]]",
        "each figure stands in the field of another",
        (f"{LAYOUT}::test_data_are_packed_without_visible_loss",),
    ),
    Fault(
        "frameworks_that_disagree_not_marked",
        "results/report/sections/flows.py",
        '            "failed" if differ else "absent",\n',
        '            "absent",\n',
        "a loss that changes a network in one framework alone looks like one that does in neither",
        (f"{PAGES}::test_a_flow_on_which_the_frameworks_disagree_is_marked",),
    ),
    Fault(
        "whole_interval_taken_for_its_half",
        "results/report/sections/credibility.py",
        "np.expm1(np.log(high / low) / 2)",
        "np.expm1(np.log(high / low))",
        "every ratio is shown as known half as well as it is",
        (f"{CHARTS}::test_every_mark_of_the_noise_is_half_the_interval_of_its_ratio",),
    ),
    Fault(
        "any_verdict_recommends_a_way",
        "results/report/own_code_answer.py",
        'row.get("verdict") == FASTER and row.get("ratio")]',
        'row.get("verdict") and row.get("ratio")]',
        "the page about a user's own case says to write what was shown to be slower",
        (f"{OWN}::test_a_way_that_is_shown_to_be_faster_is_the_one_to_write",),
    ),
    Fault(
        "names_behind_a_fold_repeated_for_each_machine",
        "results/report/build.py",
        "blocks=[_with_unique_name(one, place) for one in block.blocks])",
        "blocks=block.blocks)",
        "a chart of the second machine is drawn from the data of the first",
        (f"{LAYOUT}::test_names_of_charts_differ_between_machines_also_behind_a_fold",),
    ),
    Fault(
        "lines_for_the_eye_outside_of_the_axis",
        "results/report/charts.py",
        "log_scale([*marks, *ends], field)",
        "log_scale(marks, field)",
        "a dashed line runs out of the plot, and takes the width of a phone from it",
        (f"{CHARTS}::test_the_axes_hold_all_that_is_drawn_also_lines_for_the_eye",),
    ),
    Fault(
        "convolutions_of_a_network_not_told",
        "results/report/vocabulary.py",
        '"frozen_in_constructor", "only_new_layer",',
        '"frozen_in_constructor",',
        "a network with convolutions counts among no layers, and its framework wins nowhere",
        (f"{MARKS}::test_layers_of_a_network_are_told_as_its_weights_show_them",),
    ),
    Fault(
        "networks_of_other_sizes_not_counted",
        "results/report/sections/cases.py",
        "    total = len(networks) + len(others)\n",
        "    total = len(networks)\n",
        "nobody learns that networks are left out at the size that was chosen",
        (
            f"{ANSWERS}::test_a_case_says_how_many_networks_were_timed_at_its_size_and_where_the_others_were",
        ),
    ),
    Fault(
        "cost_of_all_sizes_under_the_headline_of_the_largest",
        "results/report/sections/backward_passes.py",
        "    series_answers = [one for one in answers(records) if one.topic == SERIES]\n",
        "    series_answers = [one for r in [*records] for one in answers([b for b in records if "
        "b['size'] == r['size']]) if one.topic == SERIES]\n",
        "two titles of one page give two ranges for the same cost",
        (f"{ANSWERS}::test_the_section_on_backward_passes_has_the_range_of_the_headline",),
    ),
    Fault(
        "repeated_way_in_another_colour",
        "results/report/way_marks.py",
        'WAY_MARKS.get(way.partition("@")[0], other)',
        "WAY_MARKS.get(way, other)",
        "the copy of a way looks like a way of its own, in the colour of a third",
        (f"{MARKS}::test_a_way_keeps_its_mark_whatever_else_a_chart_holds",),
    ),
    Fault(
        "time_of_one_run_drawn_as_drift",
        "results/report/sections/every_cell.py",
        "for line in lines if len(line) > 1 for mark in line]",
        "for line in lines for mark in line]",
        "cells that were timed once stand at 1, as if nothing had moved",
        (f"{CHARTS}::test_what_a_single_run_timed_has_no_mark_beside_other_runs",),
    ),
    Fault(
        "disagreement_left_out_of_the_picture",
        "results/report/sections/flows.py",
        'bar = [("good", changed), ("bad" if differ else "inconclusive", left)]',
        'bar = [("good", changed), ("inconclusive", left)]',
        "the frameworks disagree, and the picture of the section is grey and green",
        (f"{PAGES}::test_the_flow_begins_with_a_row_for_each_network",),
    ),
)
