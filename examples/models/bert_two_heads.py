"""BERT of transformers with two heads: one labels each token, one the whole sequence.

cascade-bench try bert_two_heads.py
cascade-bench check bert_two_heads.py
"""

import torch
import torch.nn.functional as F
from torch import nn
from transformers import BertConfig, BertModel

from cascade_bench import Case


def make():
    """Build a small BERT and its heads; padding is masked out."""
    config = BertConfig(
        vocab_size=512,
        hidden_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=128,
        max_position_embeddings=64,
    )
    bert, tokens, sequence = BertModel(config).train(), nn.Linear(64, 9), nn.Linear(64, 2)
    mask = (torch.arange(32) < torch.randint(16, 33, (8, 1))).long()
    words = {"input_ids": torch.randint(512, (8, 32)), "attention_mask": mask}
    batch = (words, torch.randint(9, (8, 32)), torch.randint(2, (8,)))

    def losses(batch):
        words, labels, kind = batch
        out = bert(**words)
        scores = tokens(out.last_hidden_state).transpose(1, 2)
        return {
            "tokens": F.cross_entropy(scores, labels),
            "sequence": F.cross_entropy(sequence(out.pooler_output), kind),
        }

    networks = nn.ModuleDict({"bert": bert, "tokens": tokens, "sequence": sequence})
    optimizer = torch.optim.AdamW(networks.parameters())

    def step():
        optimizer.zero_grad()
        with torch.autocast("cpu", torch.bfloat16):
            total = sum(losses(batch).values())
        total.backward()
        optimizer.step()

    return Case(dict(networks), losses, batch, step=step)
