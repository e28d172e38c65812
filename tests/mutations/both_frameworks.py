"""Faults of comparing the two frameworks on one file: the map of weights, and what it proves."""

from __future__ import annotations

from tests.mutations.fault import Fault

NAMES = "benchmarks/harness/worker/weight_names.py"
MOVES = "benchmarks/harness/worker/weight_moves.py"
PAIRING = "benchmarks/own_code/pairing.py"
SESSION = "benchmarks/own_code/session.py"
TURNS, IN_TURNS = "benchmarks/own_code/case_group.py", "tests/unit/own_code/test_turns.py"
WEIGHTS, PAIR = "tests/unit/own_code/test_weights.py", "tests/unit/own_code/test_pairing.py"
BACK = f"{WEIGHTS}::test_gradients_go_back_the_way_that_weights_came"
STOPS = f"{PAIR}::test_what_differs_is_not_timed_and_ends_with_1"

FAULTS = (
    Fault(
        "square_kernel_filled_as_it_is",
        NAMES,
        '    if moved and (leaf == "kernel" or not same):\n',
        "    if moved and not same:\n",
        "the two frameworks start from different networks wherever a layer is square",
        (f"{WEIGHTS}::test_layout_is_told_by_shape_and_by_the_last_part_of_a_name",),
    ),
    Fault(
        "first_of_several_counterparts_taken",
        NAMES,
        "        if len(pairs) == 1 and rivals.count(pairs[0].torch) == 1\n",
        "        if pairs\n",
        "a weight is guessed where two would fit, and nobody is asked",
        (f"{WEIGHTS}::test_what_stays_open_is_said_with_what_to_write",),
    ),
    Fault(
        "gradients_turned_back_without_the_scale",
        MOVES,
        "                parts.append((array * origin.scale).ravel())\n",
        "                parts.append(array.ravel())\n",
        "a rescaled weight makes right gradients look wrong",
        (BACK,),
    ),
    Fault(
        "half_a_parameter_counts_as_used",
        MOVES,
        "            if name in self.start.used and not part.all():\n",
        "            if name in self.start.used and not part.any():\n",
        "a part of torch's weights has no counterpart, and nothing is said",
        (f"{WEIGHTS}::test_a_part_of_a_parameter_that_goes_nowhere_is_named",),
    ),
    Fault(
        "batch_rounded_on_its_way_to_jax",
        "impl_jax/case_weights.py",
        "    dtype = None if jnp.issubdtype(own.dtype, jnp.floating) else own.dtype\n",
        "    dtype = own.dtype\n",
        "a batch of float64 makes the frameworks differ that compute the same",
        (
            "tests/integration/test_both_frameworks.py"
            "::test_sides_start_from_the_same_weights_and_batch_and_agree",
        ),
    ),
    Fault(
        "gradient_that_torch_lacks_left_out",
        PAIRING,
        "true.get(name, np.zeros(array.shape)) for name, array in other.items()}\n",
        "true.get(name, array) for name, array in other.items()}\n",
        "a gradient that only JAX has is no difference",
        (f"{PAIR}::test_a_gradient_that_only_one_side_has_is_a_difference",),
    ),
    Fault(
        "frameworks_that_differ_timed_all_the_same",
        SESSION,
        '            if timed and not self.pair["problem"]:\n',
        "            if timed and self.pair:\n",
        "JAX ÷ torch of two different networks",
        (STOPS,),
    ),
    Fault(
        "one_framework_always_timed_first",
        TURNS,
        "        for group in waiting[:: -1 if index % 2 else 1]:\n",
        "        for group in waiting:\n",
        "a machine that becomes slower in a session favours the framework that is timed first",
        (f"{IN_TURNS}::test_launches_alternate_and_each_round_begins_with_the_other",),
    ),
    Fault(
        "worker_that_fails_ends_both_frameworks",
        TURNS,
        "            self.results.fail_all(error.outcome, str(error))\n            return False\n",
        "            raise\n",
        "a crash of one framework's worker loses the other's times",
        (f"{IN_TURNS}::test_worker_that_fails_costs_its_own_group_and_raises_nothing",),
    ),
    Fault(
        "each_framework_given_the_whole_budget",
        "benchmarks/own_code/plan.py",
        "        return sum(map(Pace.seconds, paces, plans))\n",
        "        return max(map(Pace.seconds, paces, plans))\n",
        "a file with both frameworks takes twice the time that was asked for",
        (f"{IN_TURNS}::test_two_frameworks_fit_into_one_budget_with_as_many_launches_each",),
    ),
    Fault(
        "frameworks_that_differ_end_with_0",
        SESSION,
        "        return document.WRONG if wrong or expected or differ else document.RIGHT\n",
        "        return document.WRONG if wrong or expected else document.RIGHT\n",
        "a job in CI stays green while the two frameworks compute something else",
        (STOPS,),
    ),
)
