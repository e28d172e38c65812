"""A backbone that is frozen in front of a head, in PyTorch, as stages in series.

As stages, the ways that cut the graph between two networks exist too.

cascade-bench try torch_frozen_backbone.py --phase step
"""

import torch
import torch.nn.functional as F
from torch import nn

from cascade_bench import Case, Stage


def make():
    """Build everything anew: it is called once in each process that measures."""
    backbone = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Conv2d(16, 32, 3, stride=2), nn.Flatten()
    )
    head = nn.Linear(32 * 7 * 7, 10)
    batch = {"x": torch.randn(64, 3, 16, 16), "y": torch.randint(10, (64,))}
    stages = [
        Stage("backbone", {}),  # called with batch["x"]; its output goes into the head
        Stage("head", {"task": lambda output, batch: F.cross_entropy(output, batch["y"])}),
    ]
    return Case(
        {"backbone": backbone, "head": head}, batch=batch, stages=stages, frozen=["backbone"]
    )
