"""The same encoder and head in PyTorch and in JAX, in one file.

JAX starts from torch's weights and batch. Losses and gradients of the two are held to each other in
float64, each framework's ways to its own reference; then all are timed, and JAX ÷ torch is shown.

cascade-bench try both_frameworks.py
"""

import numpy as np

from cascade_bench import Case


def data():
    """Return the one batch that both sides see."""
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((256, 256), np.float32), rng.integers(0, 10, 256)
    return {"x": x, "y": y}


def torch_case():
    """Build the side in PyTorch."""
    import torch
    import torch.nn.functional as F
    from torch import nn

    class Mlp(nn.Module):
        def __init__(self, inputs, hidden, outputs):
            super().__init__()
            self.linear1 = nn.Linear(inputs, hidden)
            self.linear2 = nn.Linear(hidden, outputs)

        def forward(self, x):
            return self.linear2(F.relu(self.linear1(x)))

    encoder, head = Mlp(256, 512, 512), Mlp(512, 512, 10)

    def losses(batch):
        code = encoder(batch["x"])
        return {"code": code.square().mean(), "task": F.cross_entropy(head(code), batch["y"])}

    batch = {name: torch.from_numpy(value) for name, value in data().items()}
    return Case({"encoder": encoder, "head": head}, losses, batch)


def jax_case():
    """Build the side in JAX."""
    import jax.numpy as jnp
    import optax
    from flax import nnx

    class Mlp(nnx.Module):
        def __init__(self, inputs, hidden, outputs, rngs):
            self.linear1 = nnx.Linear(inputs, hidden, rngs=rngs)
            self.linear2 = nnx.Linear(hidden, outputs, rngs=rngs)

        def __call__(self, x):
            return self.linear2(nnx.relu(self.linear1(x)))

    rngs = nnx.Rngs(0)
    networks = {"encoder": Mlp(256, 512, 512, rngs), "head": Mlp(512, 512, 10, rngs)}

    def losses(networks, batch):
        code = networks["encoder"](batch["x"])
        scores = networks["head"](code)
        task = optax.softmax_cross_entropy_with_integer_labels(scores, batch["y"])
        return {"code": jnp.square(code).mean(), "task": task.mean()}

    # Names and shapes tell which weight of torch becomes which of JAX. Where they do not, add
    # weights=lambda w: {"head.linear2.kernel": w["head.linear2.weight"].T}, as far as is needed.
    return Case(networks, losses, {name: jnp.asarray(value) for name, value in data().items()})
