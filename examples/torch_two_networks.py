"""An encoder and a head in PyTorch, with a loss on each.

cascade-bench try torch_two_networks.py
"""

import torch
import torch.nn.functional as F
from torch import nn

from cascade_bench import Case


def make():
    """Build everything anew: it is called once in each process that measures."""
    # Put your own networks here: any nn.Module, from any package.
    encoder = nn.Sequential(nn.Linear(256, 512), nn.ReLU(), nn.Linear(512, 512))
    head = nn.Sequential(nn.ReLU(), nn.Linear(512, 10))

    # One batch as your training loop would have it: tensors, in tuples or dictionaries.
    batch = {"x": torch.randn(256, 256), "y": torch.randint(10, (256,))}

    # The losses, by name, each a scalar. Any graph will do: a shared backbone, several inputs.
    def losses(batch):
        code = encoder(batch["x"])
        return {"code": code.square().mean(), "task": F.cross_entropy(head(code), batch["y"])}

    return Case({"encoder": encoder, "head": head}, losses, batch)
    # Frozen is what does not require a gradient, or what you name: frozen=["encoder"].
    # An optimizer of your own for phase `step`: optimizer=lambda p: torch.optim.SGD(p, lr=0.1).
