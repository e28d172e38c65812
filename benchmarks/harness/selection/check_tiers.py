"""List the checks of ``benchmarks/`` that are in the fast tier of the tests, ``make test``.

All scenarios and both frameworks are in it: references, central differences and flows of nearly
every variant, every strategy and recipe at least once in each family, what keeps still when frozen,
a training of each family, and most traps. The rest of the cross product (variants × strategies ×
precisions × phases × optimizers, and second sizes) is left to ``make test-all``. A scenario of a
user's own is never left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.scenarios import CATALOGUE

# (scenario, variant) that cost the most. Other variants of the same scenario are checked: n4, and
# the one that stops a gradient, and that of two exits. That frozen_net1 keeps
# still is proven among the freezes.
LEFT_OUT = (
    ("stacked_cascade", "n8"),
    ("stacked_cascade", "n16"),
    ("early_exit", "n4"),
    ("early_exit", "untied"),
    ("shared_backbone", "frozen_backbone"),
    ("three_network_cascade", "plain"),
    ("three_network_cascade", "frozen_net1"),
    ("three_network_cascade", "frozen_net3"),
)
# Scenarios whose trainings cost the most. A smaller one of each family is trained, and the
# gradients of these scenarios are checked all the same.
LONG_TRAININGS = (
    "scaled_cascade",
    "severed_cascade",
    "staged_unfreeze",
    "lenet_module_rates",
    "lenet_layer_rates",
    "low_rank_adapters",
)
# Trainings of which a shorter or smaller one of the same scenario is in the fast tier.
LIKE_A_SHORTER_ONE = (
    "jointly_then_a_second_adam",
    "one_group_state_kept",
    "one_group_state_lost",
    "plain_jointly_then_the_decoder",
    "plain_jointly_then_a_second_adam",
    "d_then_g_on_a_fresh_draw",
    "every_exit_of_four",
    "every_exit_by_a_head_of_its_own",
    "through_a_frozen_head",
    "heads_on_a_frozen_backbone",
    "buffers_forgotten",
)
# Tests that generate C++ code, which takes seconds. One of the traps generates some as well.
COMPILED = (
    "test_compiled_strategy_gives_the_reference",
    "test_what_is_said_not_to_compile_does_not",
)
# Traps shown for whole kinds: every optimizer, schedule, module or hook, each compiled by itself.
WHOLE_KINDS = (
    "test_hook_that_is_not_linear_makes_separate_passes_differ",
    "test_step_inside_the_backward_pass_steps_once_for_each_loss",
    "test_gradient_of_each_loss_costs_a_pass_each_by_parameter_and_none_at_the_boundary",
    "test_group_added_at_the_unfreeze_has_no_schedule_behind_it",
    "test_train_undoes_eval_of_a_frozen_module",
    "test_teacher_without_buffers_normalizes_by_the_first_statistics",
    "test_zeros_that_are_multiplied_are_computed_first",
    "test_each_frozen_set_is_compiled_until_a_limit",
)
# (scenario, variant) at which every strategy is held to the reference: in each family one at which
# every strategy can exist, and the cascade of convolutions. A family without several losses has
# none.
STRATEGIES = (
    ("linear_cascade", "-"),
    ("conv_cascade", "-"),
    ("gan", "turn_d"),
    ("frozen_second_network", "-"),
    ("early_exit", "n2"),
    ("shared_backbone", "plain"),
)
# (scenario, variant) at which a freeze is proven. Of every other scenario that freezes something it
# is the first such variant.
FREEZES = (
    ("three_network_cascade", "frozen_net1"),
    ("stacked_cascade", "frozen_net2"),
    ("low_rank_adapters", "b05"),
)
# The optimizer under which it is proven: with L2 in its gradient, Adam moves every tensor that it
# is given, also one whose gradient is zero.
DECAYING = "adam_with_l2"


def is_fast(test: str, parameters: Mapping[str, Any]) -> bool:
    """Return whether a check is in the fast tier, by its function's name and its parameters."""
    if parameters.keys() & {"training", "counted"} and parameters["name"] in LONG_TRAININGS:
        return False
    if "training" in parameters and parameters["training"].name in LIKE_A_SHORTER_ONE:
        return False
    if test in (*COMPILED, *WHOLE_KINDS):
        return False
    for name in ("problem", "several", "freezing"):
        if name in parameters and not _is_chosen(name, test, parameters):
            return False
    return True


def _is_chosen(kind: str, test: str, parameters: Mapping[str, Any]) -> bool:
    """Return whether the fast tier has a check's problem.

    Args:
        kind: the parameter that holds the problem: ``problem``, ``several`` (of those with several
            losses) or ``freezing`` (of those with frozen parameters).
        test: name of the test function.
        parameters: argument of the test function → its value in this check.
    """
    scenario, variant, size = parameters[kind]
    if CATALOGUE[scenario].file is not None:
        return True
    if kind == "freezing":
        return (scenario, variant) in freezes() and parameters.get("decaying", DECAYING) == DECAYING
    if size != CATALOGUE[scenario].check_sizes[0] or (scenario, variant) in LEFT_OUT:
        return False
    if test == "test_every_strategy_gives_the_reference":
        return (scenario, variant) in STRATEGIES
    return True


def freezes() -> set[tuple[str, str]]:
    """Return (scenario, variant) of the freezes that the fast tier proves."""
    first = {
        name: next((v for v, variant in scenario.variants.items() if variant.frozen), None)
        for name, scenario in CATALOGUE.items()
    }
    named = {scenario for scenario, _ in FREEZES}
    return set(FREEZES) | {(n, v) for n, v in first.items() if v is not None and n not in named}
