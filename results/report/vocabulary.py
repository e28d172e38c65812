"""Define the names that several parts of the report share, and explain them to its readers.

Each strategy and recipe is explained by a line of code or two.
"""

from __future__ import annotations

FAMILIES = {
    "cascade": "Cascades: networks in series, a loss at several places",
    "alternation": "Alternation: players that take turns",
    "partial_freeze": "Partial freezing: a part of the network stays as it is",
    "parameter_groups": "Parameter groups: parts that learn at different rates",
}
FREEZE = "freeze"  # the kind of a cell that times a recipe for freezing
DISTRIBUTED = "distributed"  # the kind of a cell that is timed in several ranks
KINDS = {"backward": "backward pass", FREEZE: "freezing a part"}
# in the order of preference: the backward pass alone shows the differences of strategies best
PHASES = {
    "backward": "the backward pass alone; the forward pass is done before the clock starts",
    "gradient": "forward and backward pass",
    "step": "forward pass, backward pass and the optimizer's update",
}
MODES = {
    "eager": "operation by operation, torch's usual way; JAX without jit",
    "compile": "torch.compile over networks and losses at once",
    "compile_networks": "torch.compile of each network on its own",
    "jit": "jax.jit over everything that is timed",
}
VERDICT_COLOURS = {
    "slower": "#b3261e", "equal": "#2c4a6e", "inconclusive": "#8c8c8c", "faster": "#11703a",
}  # fmt: skip
FRAMEWORK_NAMES = {"torch": "PyTorch", "jax": "JAX"}
# the mode in which most people run each framework
USUAL_MODES = {"torch": "eager", "jax": "jit"}
# ways that each show a price, and that nobody should take: in tables, and not on the first screen
PRICES = ("checkpointed", "rate_zero", "inference_mode", "scale_zero", "traced_mask", "cond")

# what the verdict of a comparison means
VERDICT_WORDS = {
    "slower": "slower than the baseline by more than the margin, at 1 % over all ways of a group",
    "faster": "faster than the baseline by more than the margin, at 1 % over all ways of a group",
    "equal": "shown to differ from the baseline by less than the margin",
    "inconclusive": "neither shown: the noise is larger than the difference that is asked for",
}
# title of a column, or a word → what it means; the page shows it on hover and in the glossary
DEFINITIONS = {
    "phase": "what stands inside the clock: the backward pass, forward and backward, or a step",
    "mode": "how the framework runs the code: eager, compiled, jitted",
    "counted": "the ratio that counted FLOPs predict: XLA's cost analysis, torch's FlopCounterMode",
    "verdict": "slower, faster, equal within the margin, or inconclusive: see the glossary",
    "in front": "of how many groups the way is in front (dark): none is shown to be faster. A "
    "group is what was measured side by side",
    "other ways": "the ways that the row does not name: how often slower (red), equal (blue), "
    "undecided (grey) or faster (green) than one pass of the sum, or than nothing frozen",
    "verdicts": "how often the way was slower, faster, equal, inconclusive against its baseline",
    "÷ baseline": "time over the baseline's, the mean over launches of the ratio within a launch; "
    "± is half the 95 % interval",
    "÷ unfrozen": "time over that of the same step with nothing frozen; ± is half the 95 % "
    "interval",
    "jax ÷ torch": "JAX's time over torch's; under 1 JAX is faster. The interval counts in what "
    "this ratio moves from session to session",
    "torch's share of peak": "the time that the cell's matrix products alone take at best, over "
    "the cell's time, in torch",
    "jax's share of peak": "the time that the cell's matrix products alone take at best, over the "
    "cell's time, in JAX",
    "libraries alone": "JAX's time over torch's for the matrix products alone: the merit of the "
    "libraries they call",
    "saved for backward": "bytes that the forward pass keeps for the backward pass",
    "freeze holds": "whether the frozen parameters are what they were, bit for bit, after a step",
    "dispatch": "the share of the smaller one's time that its FLOPs do not explain at the larger "
    "one's speed: dispatch, memory, or a library slower on small arrays",
}

# The sizes of `benchmarks.scenarios.SIZES`, which nothing here may import, in another order: by the
# share that arithmetic has of the time. At the first, overhead of dispatch makes most of the time.
SIZES = ("seed", "small", "medium", "large_batch32", "large", "gpu")

# the networks by their layers, named by scenario; a variant with other layers has its own name
CONVOLUTIONAL = frozenset({
    "conv_cascade", "conv_cascade_single", "three_network_cascade", "frozen_second_network",
    "attention_on_frozen_backbone", "frozen_prefix", "frozen_in_constructor", "only_new_layer",
    "staged_unfreeze", "lenet_module_rates", "lenet_layer_rates", "rate_decay one_group",
    "shared_backbone", "momentum_teacher",
})  # fmt: skip
LINEAR = frozenset({
    "linear_cascade", "scaled_cascade", "severed_cascade", "stacked_cascade", "two_player", "gan",
    "autoencoder", "rate_decay", "straight_through",
})  # fmt: skip
TRANSFORMERS = frozenset({"low_rank_adapters", "early_exit"})
WITH_CONVOLUTIONS, WITH_ATTENTION = "with convolutions", "with attention"
LINEAR_ALONE = "with Linear layers alone"

# the scenario and the strategy that the report follows over the number of losses
STACKED, SEPARATE = "stacked_cascade", "separate_retained"

# The simplest code first: where several strategies are equally fast, the report recommends the
# first of them.
STRATEGIES = {
    "torch": {
        "summed": "(loss1 + loss2).backward()",
        "multi_root": "torch.autograd.backward([loss1, loss2])",
        "separate_retained": "loss1.backward(retain_graph=True); loss2.backward()",
        "separate_grad": "torch.autograd.grad(loss, ...) a loss, added by hand",
        "boundary_split": "net2(out1.detach().requires_grad_()); backward a network, last first",
        "reforward": "a forward and a backward pass a loss",
        "batched": "torch.autograd.grad(..., is_grads_batched=True)",
        "functional": "torch.func.vjp of the sum",
        "checkpointed": "checkpoint(network, x) each, then a backward pass a loss",
    },
    "jax": {
        "summed": "jax.grad(lambda p: loss1(p) + loss2(p))(params)",
        "separate_retained": "a jax.vjp a loss over one jitted forward, each pulled back in a jit",
        "separate_grad": "two jax.grad in one jit",
        "separate_pullbacks": "one jax.vjp of both losses, pulled back once a loss",
        "boundary_split": "a jax.vjp a network, the cotangent handed on, last first",
        "reforward": "a jitted jax.grad a loss",
        "batched": "jax.vmap of the vjp over unit cotangents",
        "checkpointed": "jax.checkpoint(network) each, then a pullback a loss",
    },
}
RECIPES = {
    "torch": {
        "unfrozen": "everything is trained: what the others are compared with",
        "requires_grad_false": "frozen.requires_grad_(False)",
        "no_grad_forward": "with torch.no_grad(): out1 = frozen(x)",
        "detach": "net2(frozen(x).detach())",
        "grad_of_trainable": "torch.autograd.grad(loss, trainable)",
        "optimizer_only": "optimizer over the trainable parameters, gradients of all",
        "rate_zero": "Adam([{'params': rest}, {'params': frozen, 'lr': 0.0}])",
    },
    "jax": {
        "unfrozen": "everything is trained: what the others are compared with",
        "grad_of_trainable": "jax.grad(lambda rest: loss(frozen, rest))(rest)",
        "partition": "optax.partition({'train': adam, 'freeze': optax.set_to_zero()}, labels)",
        "stop_gradient": "jax.lax.stop_gradient(frozen), optimizer over the rest",
        "selective_transform": "optax.selective_transform(adam, freeze_mask=frozen)",
        "masked": "optax.chain(optax.masked(adam, trainable), "
        "optax.masked(optax.set_to_zero(), frozen))",
        "chain_freeze": "optax.chain(adam, optax.freeze(frozen))",
        "all_gradients": "optax.partition, and the gradients of everything returned from the jit",
        "rate_zero": "optax.partition({'train': adam(1e-3), 'freeze': adam(0.0)}, labels)",
        "scale_zero": "optax.partition({'train': adam, 'freeze': optax.scale(0.0)}, labels)",
        "traced_mask": "the updates times a mask that is an argument of the jit",
        "cond": "jax.lax.cond(frozen, grad_of_rest, grad_of_all, params)",
    },
}


def size_rank(size: str) -> int:
    """Return the place of a size in `SIZES`; an unknown size comes after all of them."""
    return SIZES.index(size) if size in SIZES else len(SIZES)


def layers_of(network: str) -> str:
    """Return what layers a network has, in words; empty for one from outside the suite.

    Args:
        network: the scenario, and its variant after a space where it has several.
    """
    scenario = network.partition(" ")[0]
    if {network, scenario} & CONVOLUTIONAL:
        return WITH_CONVOLUTIONS
    if scenario in TRANSFORMERS:
        return WITH_ATTENTION
    return LINEAR_ALONE if scenario in LINEAR else ""


def code_of(framework: str, strategy: str) -> str:
    """Return a line of code that shows a strategy or recipe; empty for one from outside the suite.

    Args:
        framework: ``torch`` or ``jax``.
        strategy: its name; that of a repeated copy has a suffix, as in ``summed@again``.
    """
    name = strategy.partition("@")[0]
    return STRATEGIES.get(framework, {}).get(name) or RECIPES.get(framework, {}).get(name, "")
