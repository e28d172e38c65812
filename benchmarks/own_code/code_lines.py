"""Say in one to three lines of code how each way is written."""

from __future__ import annotations

TORCH = {
    "summed": "sum(losses.values()).backward()",
    "multi_root": "torch.autograd.backward(list(losses.values()))",
    "separate_retained": (
        "for loss in earlier:\n    loss.backward(retain_graph=True)\nlast.backward()"
    ),
    "separate_grad": (
        "grads = torch.autograd.grad(loss, parameters, retain_graph=True)\n"
        "# for each loss; then add them up in .grad"
    ),
    "boundary_split": (
        "cut = z.detach().requires_grad_()\nlosses_behind(cut).backward()\n"
        "torch.autograd.backward([loss_before, z], [None, cut.grad])"
    ),
    "reforward": "for name in losses(batch):\n    losses(batch)[name].backward()",
    "batched": (
        "torch.autograd.grad(roots, parameters, grad_outputs=rows,\n"
        "                    is_grads_batched=True)"
    ),
    "functional": "value, pullback = torch.func.vjp(total, parameters)\npullback(one)",
    "checkpointed": (
        "z = checkpoint(encoder, x, use_reentrant=False)\n"
        "# then a backward pass for each loss, which computes the inside of encoder again"
    ),
    "unfrozen": "sum(losses.values()).backward()  # nothing frozen",
    "requires_grad_false": "for p in frozen:\n    p.requires_grad_(False)",
    "no_grad_forward": "with torch.no_grad():\n    z = encoder(x)",
    "detach": "z = encoder(x).detach()",
    "grad_of_trainable": "grads = torch.autograd.grad(total, trained)",
    "optimizer_only": "optimizer = Adam(trained)  # all gradients are computed all the same",
    "rate_zero": 'optimizer = Adam([{"params": trained}, {"params": frozen, "lr": 0.0}])',
    "inference_mode": "with torch.inference_mode():\n    z = encoder(x)",
}
JAX = {
    "summed": "jax.grad(lambda p: sum(losses(p, batch).values()))(params)",
    "separate_retained": (
        "_, pullback = jax.vjp(lambda p: losses(p, batch), params)\n"
        "zero = jax.interpreters.ad.Zero(jax.typeof(1.0))  # of each other loss\n"
        "grads = pullback({**dict.fromkeys(names, zero), name: 1.0})  # for each loss"
    ),
    "separate_grad": "grads = [jax.grad(loss)(params) for loss in each]  # in one jit",
    "separate_pullbacks": "_, pullback = jax.vjp(lambda p: losses(p, batch), params)",
    "boundary_split": "z, pull_encoder = jax.vjp(encoder, params)\n_, pull_head = jax.vjp(head, z)",
    "reforward": "grads = jax.jit(jax.grad(loss))(params)  # for each loss",
    "batched": "jax.vmap(pullback)(jnp.eye(number_of_losses))",
    "checkpointed": (
        "z = jax.checkpoint(encoder)(params, x)\n"
        "# then a pullback for each loss, which computes the inside of encoder again"
    ),
    "unfrozen": "jax.grad(total)(params)  # nothing frozen",
    "stop_gradient": "frozen = jax.lax.stop_gradient(frozen)",
    "grad_of_trainable": "jax.grad(total)(trained, frozen)",
    "partition": "optax.partition({'train': adam, 'frozen': optax.set_to_zero()}, labels)",
    "selective_transform": "optax.selective_transform(adam, freeze_mask=mask)",
    "masked": (
        "optax.chain(optax.masked(adam, trained),\n"
        "            optax.masked(optax.set_to_zero(), frozen))"
    ),
    "chain_freeze": "optax.chain(adam, optax.freeze(mask))",
    "all_gradients": "return updates, grads  # every gradient leaves the jit",
    "rate_zero": "optax.partition({'train': adam(rate), 'frozen': adam(0.0)}, labels)",
    "scale_zero": "optax.partition({'train': adam, 'frozen': optax.scale(0.0)}, labels)",
    "traced_mask": "updates = jax.tree.map(jnp.multiply, mask, updates)  # mask: an argument",
    "cond": "grads = jax.lax.cond(frozen, grad_of_trained, grad_of_all, params)",
}
LINES = {"torch": TORCH, "jax": JAX}
