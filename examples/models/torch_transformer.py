"""torch.nn.Transformer with an embedding that is also the output layer.

cascade-bench try torch_transformer.py
cascade-bench check torch_transformer.py
"""

import torch
import torch.nn.functional as F
from torch import nn

from cascade_bench import Case


def make():
    """Build a translation model: a source, a target, the next token of the target."""
    embedding = nn.Embedding(512, 64)
    body = nn.Transformer(64, 4, 2, 2, 128, dropout=0.1, batch_first=True)
    batch = {"source": torch.randint(512, (8, 24)), "target": torch.randint(512, (8, 17))}

    def losses(batch):
        given, wanted = batch["target"][:, :-1], batch["target"][:, 1:]
        mask = nn.Transformer.generate_square_subsequent_mask(given.shape[1])
        code = body.encoder(embedding(batch["source"]))
        out = body.decoder(embedding(given), code, tgt_mask=mask, tgt_is_causal=True)
        scores = F.linear(out, embedding.weight).transpose(1, 2)
        return {"task": F.cross_entropy(scores, wanted), "code": code.square().mean()}

    optimizer = torch.optim.Adam([*embedding.parameters(), *body.parameters()])
    schedule = torch.optim.lr_scheduler.ExponentialLR(optimizer, 0.99)

    def step(batch):
        losses_by_name = losses(batch)
        total = losses_by_name["task"] + 0.01 * losses_by_name["code"]
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        schedule.step()

    return Case({"embedding": embedding, "body": body}, losses, batch, step=step)
