"""ResNet of transformers: convolutions and BatchNorm, whose statistics move in each pass.

cascade-bench try resnet.py
cascade-bench check resnet.py
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import ResNetConfig, ResNetModel

from cascade_bench import Case, Stage


def make():
    """Build a small ResNet that is frozen, and a head in series with it."""
    config = ResNetConfig(
        embedding_size=16, hidden_sizes=[16, 32], depths=[1, 1], layer_type="basic"
    )
    backbone = nn.Sequential(Pooled(ResNetModel(config)), nn.Flatten()).train()
    batch = {"x": torch.randn(8, 3, 32, 32), "y": torch.randint(10, (8,))}
    stages = [
        Stage("backbone", {"code": lambda code, batch: code.square().mean()}),
        Stage("head", {"task": lambda scores, batch: F.cross_entropy(scores, batch["y"])}),
    ]
    networks = {"backbone": backbone, "head": nn.Linear(32, 10)}
    optimizer = torch.optim.SGD(networks["head"].parameters(), lr=0.1, momentum=0.9)

    def step():
        backbone.eval()  # else its statistics move
        with torch.no_grad():
            code = backbone(batch["x"])
        optimizer.zero_grad()
        F.cross_entropy(networks["head"](code), batch["y"]).backward()
        optimizer.step()

    return Case(networks, batch=batch, stages=stages, frozen=["backbone"], step=step)


class Pooled(nn.Module):
    """Return a model's pooled output, a tensor, in place of the object that holds all outputs."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, pixels):
        """Return the average of each channel."""
        return self.model(pixels).pooler_output
