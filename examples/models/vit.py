"""A vision transformer of transformers, and a decoder that reconstructs its input: two losses.

cascade-bench try vit.py
cascade-bench check vit.py
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import ViTConfig, ViTModel

from cascade_bench import Case


def make():
    """Build a small ViT with a classifier, and a decoder of patches."""
    config = ViTConfig(
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        image_size=32,
        patch_size=8,
    )
    networks = {
        "vit": ViTModel(config, add_pooling_layer=False).train(),
        "head": nn.Linear(64, 10),
        "decoder": nn.Sequential(nn.Linear(64, 64), nn.GELU(), nn.Linear(64, 192)),
    }
    vit, head, decoder = networks.values()
    batch = {"pixels": torch.randn(8, 3, 32, 32), "label": torch.randint(10, (8,))}

    def losses(batch):
        code = vit(batch["pixels"]).last_hidden_state
        patches = F.unfold(batch["pixels"], 8, stride=8).transpose(1, 2)
        return {
            "task": F.cross_entropy(head(code[:, 0]), batch["label"]),
            "patches": F.mse_loss(decoder(code[:, 1:]), patches),
        }

    optimizer = torch.optim.AdamW(p for network in networks.values() for p in network.parameters())
    scaler = torch.amp.GradScaler("cpu")

    def step():
        optimizer.zero_grad()
        scaler.scale(sum(losses(batch).values())).backward()
        scaler.unscale_(optimizer)
        torch.nn.utils.clip_grad_norm_(vit.parameters(), 1.0)
        scaler.step(optimizer)
        scaler.update()

    return Case(networks, losses, batch, step=step)
