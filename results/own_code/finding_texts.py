"""Hold what findings are called, and how each is mended in either framework."""

from __future__ import annotations

TITLES = {
    "CB101": "frozen, but it moves",
    "CB102": "frozen, but its statistics move",
    "CB201": "it gets a gradient, and does not move",
    "CB202": "no loss reaches it",
    "CB203": "it is moved twice by one gradient",
    "CB204": "gradients of all steps pile up",
    "CB301": "gradients of a frozen part are computed and thrown away",
    "CB302": "several backward passes where one would do",
    "CB303": "separate backward passes differ from one of the sum",
    "CB304": "a loss of weight 0 costs its full price",
    "CB401": "NaN or infinity",
    "CB402": "optimizer steps inside one autocast region",
    "CB403": "gradients are clipped before they are unscaled",
    "CB404": "DDP does not reduce a part",
}
PAGE = "docs/check.md"

# code → cause → what it is in words, after the names of the tensors
CAUSES = {
    "CB101": {
        "gradient": "an optimizer steps it along a gradient that it still gets",
        "stale": "an optimizer applies the gradient that was left in .grad when it was frozen",
        "decay": "weight decay moves it, though its gradient is 0",
        "momentum": "the optimizer's moments move it, though its gradient is 0",
        "by_hand": "the step changes it outside of any optimizer, and it gets gradients",
        "optimizer": "an optimizer moves it without a gradient",
        "raw": "its raw gradient is added to it: optax.masked hands on what is masked out",
        "update": "the optimizer's update moves it",
    },
    "CB102": {"forward": "running its module forward changes them"},
    "CB201": {
        "not_held": "no optimizer holds it",
        "another": "the optimizer holds another tensor of the same shape",
        "cleared": "an optimizer holds it and steps, but its gradient is gone by then",
        "unmoved": "a loss reaches it, and the step leaves it as it is",
        "nothing": "the step returns its whole state as it got it",
    },
    "CB202": {
        "checkpoint": "a reentrant checkpoint, whose inputs require no gradient, cuts it off",
        "no_grad": "it runs under no_grad, and an optimizer holds it",
        "detach": "its losses depend on it, and a cut (detach, .data, argmax) stops every gradient",
        "step": "a loss alone reaches it, but in the step no gradient arrives",
        "stop_gradient": "its losses depend on it, and stop_gradient stops every gradient",
    },
    "CB203": {
        "optimizers": "two optimizers step it by the same gradient",
        "again": "its optimizer steps again by the same gradient",
        "hook": "an optimizer steps it inside the backward pass, once for each pass",
    },
    "CB204": {"piled": "nothing clears its gradient between a step and the next backward pass"},
    "CB301": {"frozen": "it gets gradients that nothing uses"},
    "CB302": {"separate": "the passes walk the same graph, and one from the sum gives the same"},
    "CB303": {
        "hook": "a hook or backward function on the way is not linear, as clipping is: it acts on "
        "each pass alone"
    },
    "CB304": {"zero": "its backward pass multiplies by exact zeros"},
    "CB401": {"nonfinite": "it is finite at the start, and then no more"},
    "CB402": {"cached": "autocast goes on using the cast of its old value"},
    "CB403": {"scaled": "the norm that is clipped is that of the scaled gradients"},
    "CB404": {"local": "it is trained beside a DDP module, and each process moves it by itself"},
}

# framework → code → what to write
MENDS = {
    "torch": {
        "CB101": "give the optimizer only what is trained, call requires_grad_(False) on the rest, "
        "and set its .grad to None",
        "CB102": "call .eval() on the frozen module after every .train() of the whole",
        "CB201": "build the optimizer from the very modules that the losses use, or freeze it: "
        "requires_grad_(False), frozen=[…]",
        "CB202": "take away what cuts it off; use checkpoint(…, use_reentrant=False); or, if it is "
        "meant, name it: frozen=[…]",
        "CB203": "give each parameter to one optimizer, and step it once after the last backward "
        "pass",
        "CB204": "call optimizer.zero_grad() before each backward pass that follows a step",
        "CB301": "call requires_grad_(False) on it, or run it under torch.no_grad()",
        "CB302": "sum(losses.values()).backward()",
        "CB303": "run one backward pass of the sum, or clip once after the last pass",
        "CB304": "leave the loss out while its weight is 0: if weight: total = total + weight * "
        "loss()",
        "CB401": "find the first of them with torch.autograd.detect_anomaly(), and guard the loss "
        "that is named",
        "CB402": "open an autocast region for each forward pass, and step outside of it",
        "CB403": "scaler.unscale_(optimizer), then clip, then scaler.step(optimizer)",
        "CB404": "wrap one module that holds everything, after freezing and unfreezing",
    },
    "jax": {
        "CB101": "optax.partition({'train': optimizer, 'frozen': optax.set_to_zero()}, labels)",
        "CB102": "call .eval() on the frozen module, or keep its old batch_stats",
        "CB201": "return the updated parameters, let the optimizer's filter or labels take them "
        "in, or name it: frozen=[…]",
        "CB202": "take away what cuts it off, or, if it is meant, name it: frozen=[…]",
        "CB203": "update each parameter once",
        "CB204": "hand on no gradients in the state, or set them to 0 after each update",
        "CB301": "differentiate by what is trained alone: jax.grad(loss)(trained, frozen)",
        "CB302": "jax.grad(lambda p: sum(losses(p, batch).values()))(params)",
        "CB303": "differentiate the sum, or clip once, after all gradients are added",
        "CB304": "leave the loss out while its weight is 0, or choose by jax.lax.cond",
        "CB401": "find the first of them with jax.config.update('jax_debug_nans', True), and "
        "guard the loss that is named",
        "CB402": "cast the weights anew for each forward pass",
        "CB403": "divide by the loss scale, then clip",
        "CB404": "reduce every gradient once: jax.lax.pmean, or shard_map's own sum",
    },
}

# cause → what to write where that is more than the code alone tells
MENDS_BY_CAUSE = {
    "cleared": "call zero_grad before backward, not between backward and step",
}


def anchor(code: str) -> str:
    """Return the address of a code's section in the documentation."""
    return f"{PAGE}#{code.lower()}"
