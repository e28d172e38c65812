"""Faults of the first screen of a report, whose every statement follows from the records."""

from __future__ import annotations

from tests.mutations.fault import Fault

ANSWER = "tests/unit/results/report/test_answer.py"
FAULTS = (
    Fault(
        "headline_over_a_failed_canary",
        "results/report/sections/answer.py",
        "    if any(canary_status.failed(run.settings) for run in machine.runs):\n",
        "    if False:\n",
        "a run whose clock misread known work is headed by its ratios",
        (f"{ANSWER}::test_headline_of_a_run_whose_canary_failed_warns_instead",),
    ),
    Fault(
        "mean_of_the_first_network",
        "results/report/answer_charts.py",
        '"mean": way.mean_ratio,',
        '"mean": way.records[0]["ratio"]["estimate"],',
        "the large dot of a way is one network's ratio",
        (f"{ANSWER}::test_each_mark_is_its_records_ratio_and_lies_within_its_interval",),
    ),
    Fault(
        "every_way_in_colour",
        "results/report/answer_charts.py",
        "    return topic_answer.recommendation.best is way\n",
        "    return True\n",
        "nothing tells the recommended way from the others",
        (f"{ANSWER}::test_only_the_recommended_way_has_the_colour",),
    ),
    Fault(
        "masked_alone_shown_as_a_freeze",
        "results/report/snippets.py",
        "                        optax.masked(optax.set_to_zero(), frozen))\n",
        "                        optax.identity())\n",
        "the page shows code that moves the frozen part by its raw gradient",
        (
            "tests/unit/results/report/test_snippets.py"
            "::test_each_jax_recipe_shown_trains_net2_and_leaves_net1",
        ),
    ),
    Fault(
        "spec_that_was_given_up_puts_its_state_back",
        "benchmarks/scenarios/external/time_limit.py",
        "        thread.left_behind = True\n",
        "",
        "minutes after it was given up, a spec sets the environment of the session back",
        (
            "tests/integration/test_limits.py"
            "::test_code_of_a_spec_that_was_given_up_changes_nothing_when_it_ends",
        ),
    ),
    Fault(
        "few_launches_taken_for_one_way",
        "results/report/sections/answer.py",
        "    if not ratios:\n",
        "    if len(ratios) < len(records):\n",
        "whoever times three ways in two launches is told that there is nothing to compare",
        (
            "tests/unit/results/report/test_answer.py"
            "::test_headline_of_a_run_of_few_launches_says_what_it_lacks",
        ),
    ),
    Fault(
        "growth_said_where_the_cost_is_the_same",
        "results/report/sections/answer.py",
        "    if len(means) < 2 or means[0].mean >= means[-1].mean:\n",
        "    if len(means) < 2:\n",
        "the headline claims that more losses cost more where they do not",
        (
            f"{ANSWER}::test_headline_says_that_a_pass_for_each_loss_costs_more"
            "_the_more_losses_there_are",
        ),
    ),
    Fault(
        "groups_in_front_in_the_colour_of_a_verdict",
        "results/report/sections/headlines.py",
        '    front = [("front", one.best.front), ("behind", ',
        '    front = [("good", one.best.front), ("behind", ',
        "green means two things in one table",
        (
            "tests/unit/results/report/test_ranking.py"
            "::test_a_bar_of_groups_has_no_colour_of_a_verdict",
        ),
    ),
    Fault(
        "limit_of_a_gradient_left_out",
        "results/report/gradient_errors.py",
        '    allowed = error.get("allowed")\n',
        "    allowed = None\n",
        "an error stands alone, and nobody can tell how near to its limit it is",
        (
            "tests/unit/results/report/test_gradient_limits.py"
            "::test_each_error_stands_beside_its_limit_and_an_older_run_says_that_it_has_none",
        ),
    ),
    Fault(
        "scenarios_that_were_measured_called_missing",
        "results/report/sections/absent.py",
        "    return [name for name in catalogue if name not in measured]\n",
        "    return [name for name in catalogue if name in measured]\n",
        "the page asks for what it has and is silent about what it lacks",
        (
            "tests/unit/results/report/test_missing_scenarios.py"
            "::test_scenarios_without_a_run_are_named_with_the_command_that_measures_them",
        ),
    ),
)
