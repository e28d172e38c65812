"""Llama of transformers: rotary positions, grouped queries; its embedding is frozen.

cascade-bench try llama.py
cascade-bench check llama.py
"""

import torch
from transformers import LlamaConfig, LlamaForCausalLM

from cascade_bench import Case


def make():
    """Build a small Llama without its embedding's gradient."""
    config = LlamaConfig(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
    )
    model = LlamaForCausalLM(config).train()
    model.model.embed_tokens.requires_grad_(False)
    batch = {"input_ids": torch.randint(512, (8, 32))}

    def losses(batch):
        return {"task": model(**batch, labels=batch["input_ids"], use_cache=False).loss}

    optimizer = torch.optim.AdamW(p for p in model.parameters() if p.requires_grad)

    def step():
        for part in batch["input_ids"].chunk(2):  # two micro-batches, one step
            (losses({"input_ids": part})["task"] / 2).backward()
        optimizer.step()
        optimizer.zero_grad()

    return Case({"llama": model}, losses, batch, step=step)
