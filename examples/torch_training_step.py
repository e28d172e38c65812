"""A training step in PyTorch, as it is often written and as it should be: `cascade-bench check`.

cascade-bench check torch_training_step.py:wrong
cascade-bench check torch_training_step.py
"""

import torch
import torch.nn.functional as F
from torch import nn

from cascade_bench import Case


def build():
    """Return a frozen encoder, a head and a batch."""
    encoder = nn.Sequential(nn.Linear(64, 128), nn.BatchNorm1d(128), nn.ReLU())
    head = nn.Linear(128, 10)
    return encoder, head, {"x": torch.randn(32, 64), "y": torch.randint(10, (32,))}


def losses_of(encoder, head):
    """Return the function of the batch that computes each loss."""

    def losses(batch):
        scores = head(encoder(batch["x"]))
        return {"task": F.cross_entropy(scores, batch["y"]), "size": scores.square().mean()}

    return losses


def wrong():
    """Freeze by leaving the encoder out of the optimizer, and run two backward passes."""
    encoder, head, batch = build()
    losses = losses_of(encoder, head)
    optimizer = torch.optim.AdamW(head.parameters())

    def step():
        optimizer.zero_grad()
        encoder.zero_grad()
        values = losses(batch)
        values["task"].backward(retain_graph=True)  # CB302: two passes through one graph
        values["size"].backward()  # CB301: the encoder gets gradients that nothing uses
        optimizer.step()

    # CB102: the encoder's BatchNorm is in train mode
    networks = {"encoder": encoder, "head": head}
    return Case(networks, losses, batch, frozen=["encoder"], step=step)


def make():
    """Freeze the encoder whole, and run one backward pass of the sum."""
    encoder, head, batch = build()
    encoder.requires_grad_(False).eval()
    losses = losses_of(encoder, head)
    optimizer = torch.optim.AdamW(head.parameters())

    def step():
        optimizer.zero_grad()
        sum(losses(batch).values()).backward()
        optimizer.step()

    return Case({"encoder": encoder, "head": head}, losses, batch, step=step)
