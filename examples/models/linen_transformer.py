"""A transformer of flax.linen: parameters are a tree, Dropout is drawn from a key of the batch.

cascade-bench try linen_transformer.py
cascade-bench check linen_transformer.py
"""

import flax.linen as nn
import jax
import jax.numpy as jnp
import optax
from flax.training.train_state import TrainState

from cascade_bench import Case


class Encoder(nn.Module):
    """An embedding, and two layers of attention and an MLP."""

    @nn.compact
    def __call__(self, tokens):
        """Return one vector for each token."""
        x = nn.Embed(512, 64)(tokens)
        for _ in range(2):
            y = nn.LayerNorm()(x)
            x = x + nn.MultiHeadDotProductAttention(4, dropout_rate=0.1, deterministic=False)(y)
            y = nn.gelu(nn.Dense(128)(nn.LayerNorm()(x)))
            x = x + nn.Dropout(0.1, deterministic=False)(nn.Dense(64)(y))
        return x


def make():
    """Build the encoder and a head; the next token, and the size of the code."""
    encoder, head, key = Encoder(), nn.Dense(512), jax.random.key(0)
    tokens = jax.random.randint(key, (8, 32), 0, 512)
    code, variables = encoder.init_with_output({"params": key, "dropout": key}, tokens)
    networks = {"encoder": variables["params"], "head": head.init(key, code)["params"]}

    def losses(networks, batch):
        rngs = {"dropout": batch["key"]}
        code = encoder.apply({"params": networks["encoder"]}, batch["tokens"], rngs=rngs)
        scores, wanted = head.apply({"params": networks["head"]}, code), batch["tokens"]
        each = optax.softmax_cross_entropy_with_integer_labels(scores[:, :-1], wanted[:, 1:])
        return {"task": each.mean(), "code": jnp.square(code).mean()}

    def total(networks, batch):
        return sum(losses(networks, batch).values())

    @jax.jit
    def step(state, batch):
        key = jax.random.fold_in(batch["key"], state.step)  # other masks in each step
        gradients = jax.grad(total)(state.params, {**batch, "key": key})
        return state.apply_gradients(grads=gradients)

    state = TrainState.create(apply_fn=encoder.apply, params=networks, tx=optax.adamw(1e-3))
    return Case(networks, losses, {"tokens": tokens, "key": key}, step=step, state=state)
