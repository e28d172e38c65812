"""Faults of what shows traps and costs, and of the ways that only show a price."""

from __future__ import annotations

from tests.mutations.fault import EQUIVALENCE, RECIPES, Fault
from tests.mutations.torch_side import FROZEN_STILL, RECIPES_GIVE, STRATEGIES_AGREE

SHARING = "benchmarks/test_sharing_traps.py"
UPDATES = "benchmarks/test_update_traps.py"
COSTS = "benchmarks/test_cost_traps.py"
RECIPES_COST = f"{RECIPES}::test_recipes_cost_what_is_predicted"

FAULTS = (
    Fault(
        "tied_weight_looked_up_by_its_other_name",
        "impl_torch/sharing_traps.py",
        'frozen = [p for name, p in named if name.startswith("head.")]',
        "frozen = list(model.head.parameters())",
        "the head of a tied model is found under its own name",
        (f"{SHARING}::test_tied_weight_has_one_name_and_is_not_found_under_the_other",),
    ),
    Fault(
        "tied_variable_selected_by_its_path",
        "impl_jax/sharing_traps.py",
        "held = {id(v) for _, v in nnx.iter_graph(model.head) if isinstance(v, nnx.Param)}",
        "held = {id(model.body)}",
        "a selection by identity that misses what the head holds",
        (f"{SHARING}::test_tied_weight_has_one_name_and_is_not_found_under_the_other",),
    ),
    Fault(
        "teachers_buffers_left_behind",
        "impl_torch/sharing_traps.py",
        'elif way != "parameters_alone":',
        'elif way == "parameters_alone":',
        "a teacher without BatchNorm's statistics is taken for the right one",
        (f"{SHARING}::test_teacher_without_buffers_normalizes_by_the_first_statistics",),
    ),
    Fault(
        "mask_of_the_decay_shown_as_a_freeze",
        "impl_jax/update_traps.py",
        "optax.adamw(LR, weight_decay=DECAY, mask=TRAINED)",
        "optax.adamw(0.0, weight_decay=DECAY, mask=TRAINED)",
        "a frozen network that does not move, because nothing does",
        (f"{UPDATES}::test_mask_of_the_decay_alone_freezes_nothing",),
    ),
    Fault(
        "clipped_part_by_part_in_both_ways",
        "impl_torch/update_traps.py",
        'for net in nets) if way == "inside" else (nets,):',
        "for net in nets):",
        "clipping each network is taken for clipping all of them",
        (f"{UPDATES}::test_clipping_inside_a_partition_clips_each_part",),
    ),
    Fault(
        "old_moments_for_a_new_head",
        "impl_jax/update_traps.py",
        'if way == "new_optimizer":',
        'if way == "another":',
        "a new head goes on with the moments of the old one, and nothing says so",
        (f"{UPDATES}::test_head_replaced_under_an_optimizer_inherits_its_moments",),
    ),
    Fault(
        "conditional_counted_by_the_wrong_branch",
        "impl_jax/cost_traps.py",
        'inside = [equation.params["branches"][1]]',
        'inside = [equation.params["branches"][0]]',
        "of a conditional the branch that does not run is counted",
        (f"{COSTS}::test_zeros_that_are_multiplied_are_computed_first",),
    ),
    Fault(
        "products_of_a_scan_counted_once",
        "impl_jax/cost_traps.py",
        "total += often * _in_jaxpr(own)",
        "total += _in_jaxpr(own)",
        "the products in the body of a loop are counted once, as XLA does",
        (f"{COSTS}::test_mask_inside_a_scan_saves_nothing",),
    ),
    Fault(
        "limit_of_frozen_sets_not_raised",
        "impl_torch/cost_traps.py",
        '{"recompile_limit": 2 * DEPTH}',
        '{"recompile_limit": DEPTH // 2}',
        "gradual freezing ends in eager code all the same",
        (f"{COSTS}::test_each_frozen_set_is_compiled_until_a_limit",),
    ),
    Fault(
        "checkpoint_left_out",
        "impl_torch/strategies.py",
        "value, _ = checkpoint(run, entering, use_reentrant=False)",
        "value, _ = run(entering)",
        "nothing is checkpointed: right gradients, another price",
        (f"{EQUIVALENCE}::test_strategies_cost_what_is_predicted",),
        narrow="torch",
    ),
    Fault(
        "checkpointed_cuts_between_networks",
        "impl_jax/strategies.py",
        "jax.checkpoint(run)(problem.used_by(stage, reached), value)",
        "jax.checkpoint(run)(problem.used_by(stage, reached), jax.lax.stop_gradient(value))",
        "no gradient passes a checkpoint, so that a network in front misses the losses behind it",
        (STRATEGIES_AGREE,),
        scenario="linear_cascade",
        narrow="jax",
    ),
    Fault(
        "rate_of_the_frozen_left_as_it_is",
        "impl_torch/optimizers.py",
        """optimizer.add_param_group({**group, "params": own, "lr": 0.0})""",
        """optimizer.add_param_group({**group, "params": own})""",
        "a learning rate of 0 that is none",
        (FROZEN_STILL,),
        scenario="two_player",
        narrow="adam_with_l2",
    ),
    Fault(
        "traced_mask_inverted",
        "impl_jax/optimizers.py",
        "jnp.asarray(float(n not in frozen))",
        "jnp.asarray(float(n in frozen))",
        "the mask keeps still what is trained",
        (FROZEN_STILL,),
        scenario="two_player",
        narrow="adam_with_l2",
    ),
    Fault(
        "conditional_gradient_of_the_other_branch",
        "impl_jax/recipe_passes.py",
        'jax.lax.cond(constants["stopped"], of_trained, of_all, parameters)',
        'jax.lax.cond(constants["stopped"], of_all, of_trained, parameters)',
        "lax.cond computes what it should leave out",
        (RECIPES_COST, RECIPES_GIVE),
        narrow="jax and frozen_net1",
    ),
    Fault(
        "branch_that_does_not_run_is_counted",
        "impl_jax/program.py",
        "flops -= gemms.not_taken(self._traced())",
        "flops -= 0.0",
        "a conditional is predicted by the branch that costs most",
        (RECIPES_COST,),
        narrow="jax and frozen_net1",
    ),
)
