"""Cases with a side in PyTorch and one in JAX: ``torch_NAME`` and ``jax_NAME``."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from cascade_bench import Case


def data():
    """Return the batch of both sides."""
    rng = np.random.default_rng(0)
    return {"x": rng.standard_normal((12, 6), np.float32), "y": rng.integers(0, 4, 12)}


def _torch(dropout=0.0, epsilon=1e-5):
    import torch
    import torch.nn.functional as F
    from torch import nn

    norm, drop = nn.LayerNorm(8, eps=epsilon), nn.Dropout(dropout)
    encoder = nn.Sequential(nn.Linear(6, 8), nn.Tanh(), norm, drop, nn.Linear(8, 8))
    head = nn.Linear(8, 4)
    nn.init.normal_(norm.weight)

    def losses(batch):
        code = encoder(batch["x"])
        return {"code": code.square().mean(), "task": F.cross_entropy(head(code), batch["y"])}

    x, y = data().values()
    batch = {"x": torch.from_numpy(x.astype(np.float64) / 3), "y": torch.from_numpy(y)}
    return Case({"encoder": encoder, "head": head}, losses, batch)


def _jax(epsilon=1e-5):
    import jax.numpy as jnp
    import optax
    from flax import nnx

    rngs = nnx.Rngs(0)
    norm = nnx.LayerNorm(8, epsilon=epsilon, rngs=rngs)
    keep = lambda x: x  # noqa: E731  # in the place of Dropout
    encoder = nnx.Sequential(
        nnx.Linear(6, 8, rngs=rngs), nnx.tanh, norm, keep, nnx.Linear(8, 8, rngs=rngs)
    )
    networks = {"encoder": encoder, "head": nnx.Linear(8, 4, rngs=rngs)}

    def losses(networks, batch):
        code = networks["encoder"](batch["x"])
        scores = networks["head"](code)
        task = optax.softmax_cross_entropy_with_integer_labels(scores, batch["y"])
        return {"code": jnp.square(code).mean(), "task": task.mean()}

    return Case(networks, losses, {name: jnp.asarray(one) for name, one in data().items()})


def torch_regular():
    """Two networks whose names and shapes are those of the other side."""
    return _torch()


def jax_regular():
    """The same, with weights of its own and zeros for a batch."""
    import jax

    case = _jax()
    return replace(case, batch=jax.tree.map(lambda array: 0 * array, case.batch))


torch_epsilon = torch_regular


def jax_epsilon():
    """The normalisation divides by something else."""
    return _jax(epsilon=1e-6)


def torch_dropout():
    """Random masks, which JAX does not draw."""
    return _torch(dropout=0.5)


jax_dropout = jax_regular
jax_frozen = jax_regular


def torch_frozen():
    """The encoder is frozen, and not on the other side."""
    return replace(_torch(), frozen=["encoder"])


torch_less = torch_regular


def jax_less():
    """A loss is missing."""
    case = _jax()
    return replace(case, losses=lambda n, b: {"task": case.losses(n, b)["task"]})


def torch_tree():
    """Bare matrices: an LSTM-like pair of biases, and a scale near 0."""
    import torch
    from torch import nn

    class Cell(nn.Module):
        def __init__(self):
            super().__init__()
            self.ih, self.hh = nn.Linear(6, 8), nn.Linear(8, 8)
            self.gain = nn.Parameter(torch.rand(8))
            self.unused = nn.Parameter(torch.rand(3))

        def forward(self, x):
            first = torch.tanh(self.ih(x) + self.hh.bias)
            return self.gain * (self.ih(x) + self.hh(first))

    cell = Cell()
    x = torch.from_numpy(data()["x"])
    return Case({"cell": cell}, lambda batch: {"code": cell(batch[0]).square().mean()}, (x,))


def jax_tree():
    """One sum of the biases, one matrix of both, a gain that is added to 1."""
    import jax.numpy as jnp

    cell = {"w": jnp.zeros((14, 8)), "b": jnp.zeros(8), "gain": jnp.zeros(8)}

    def losses(networks, batch):
        own, (x,) = networks["cell"], batch
        first = jnp.tanh(x @ own["w"][:6] + own["b"])
        code = (1 + own["gain"]) * (x @ own["w"][:6] + first @ own["w"][6:] + own["b"])
        return {"code": jnp.square(code).mean()}

    def weights(w):
        both = jnp.concatenate([w["cell.ih.weight"].T, w["cell.hh.weight"].T])
        gain, bias = w["cell.gain"] - 1, w["cell.ih.bias"] + w["cell.hh.bias"]
        return {"cell": {"w": both, "b": bias, "gain": gain}}

    return Case({"cell": cell}, losses, (jnp.asarray(data()["x"]),), weights=weights)


torch_wrong_weights = torch_tree


def jax_wrong_weights():
    """The function of weights forgets to transpose a square matrix."""
    case = jax_tree()

    def weights(w):
        return case.weights({**w, "cell.hh.weight": w["cell.hh.weight"].T})

    return replace(case, weights=weights)


def torch_convolution():
    """Channels first, statistics of a trained network, and a layer behind a flattened image."""
    import torch
    from torch import nn

    norm = nn.BatchNorm2d(4)
    norm.running_mean, norm.running_var = torch.randn(4), 0.5 + torch.rand(4)
    conv, last = nn.Conv2d(3, 4, 3), nn.Linear(4 * 2 * 3, 5)
    net = nn.Sequential(conv, norm, nn.Tanh(), nn.Flatten(), last).eval()
    x = torch.from_numpy(np.random.default_rng(0).standard_normal((6, 3, 4, 5), np.float32))
    return Case({"net": net}, lambda batch: {"task": net(batch["x"]).square().mean()}, {"x": x})


def jax_convolution():
    """Channels last: the images and the layer behind them are laid out anew."""
    import jax.numpy as jnp
    from flax import nnx

    rngs = nnx.Rngs(0)
    net = nnx.Sequential(
        nnx.Conv(3, 4, (3, 3), padding="VALID", rngs=rngs),
        nnx.BatchNorm(4, use_running_average=True, rngs=rngs),
        nnx.tanh,
        lambda x: x.reshape(len(x), -1),
        nnx.Linear(2 * 3 * 4, 5, rngs=rngs),
    )
    x = np.random.default_rng(0).standard_normal((6, 3, 4, 5), np.float32)

    def weights(w):
        images = w["net.4.weight"].reshape(5, 4, 2, 3).transpose(2, 3, 1, 0)
        return {"net.layers.4.kernel": images.reshape(24, 5)}

    def losses(networks, batch):
        return {"task": jnp.square(networks["net"](batch["x"])).mean()}

    return Case({"net": net}, losses, {"x": jnp.asarray(x).transpose(0, 2, 3, 1)}, weights=weights)
