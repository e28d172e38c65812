"""A recurrent network of haiku: transformed functions, parameters by module and name.

cascade-bench try haiku_lstm.py
cascade-bench check haiku_lstm.py
"""

import haiku as hk
import jax
import jax.numpy as jnp
import optax

from cascade_bench import Case


def encode(tokens):
    """Return the LSTM's output after each token."""
    core, x = hk.LSTM(64), hk.Embed(512, 64)(tokens)
    return hk.dynamic_unroll(core, x, core.initial_state(x.shape[0]), time_major=False)[0]


def make():
    """Build the encoder and a head; the next token, and the size of the code."""
    encoder = hk.without_apply_rng(hk.transform(encode))
    head = hk.without_apply_rng(hk.transform(lambda code: hk.Linear(512)(code)))
    key = jax.random.key(0)
    tokens = jax.random.randint(key, (8, 24), 0, 512)
    networks = {"encoder": encoder.init(key, tokens), "head": head.init(key, jnp.ones((1, 64)))}

    def losses(networks, batch):
        code = encoder.apply(networks["encoder"], batch)
        scores = head.apply(networks["head"], code)
        each = optax.softmax_cross_entropy_with_integer_labels(scores[:, :-1], batch[:, 1:])
        return {"task": each.mean(), "code": jnp.square(code).mean()}

    optimizer = optax.chain(optax.clip_by_global_norm(1.0), optax.adam(1e-3))

    @jax.jit
    def step(state, batch):
        networks, opt = state
        gradients = jax.grad(lambda networks: sum(losses(networks, batch).values()))(networks)
        updates, opt = optimizer.update(gradients, opt)
        return optax.apply_updates(networks, updates), opt

    return Case(networks, losses, tokens, step=step, state=(networks, optimizer.init(networks)))
