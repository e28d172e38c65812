"""Llama of transformers: rotary positions, grouped queries; its embedding is frozen.

cascade-bench try llama.py
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
    batch = {"input_ids": torch.randint(512, (8, 32))}

    def losses(batch):
        return {"task": model(**batch, labels=batch["input_ids"], use_cache=False).loss}

    return Case({"llama": model}, losses, batch, frozen=["llama.model.embed_tokens"])
