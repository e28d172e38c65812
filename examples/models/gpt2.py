"""GPT-2 of transformers: the output layer is the embedding's own tensor, Dropout is on.

cascade-bench try gpt2.py
"""

import torch
from transformers import GPT2Config, GPT2LMHeadModel

from cascade_bench import Case


def make():
    """Build a small GPT-2; its loss on the next token, and one on the size of its hidden states."""
    config = GPT2Config(vocab_size=512, n_positions=64, n_embd=64, n_layer=2, n_head=4)
    model = GPT2LMHeadModel(config).train()
    batch = {"input_ids": torch.randint(512, (8, 32))}

    def losses(batch):
        out = model(**batch, labels=batch["input_ids"], output_hidden_states=True)
        return {"task": out.loss, "code": out.hidden_states[-1].square().mean()}

    return Case({"gpt2": model}, losses, batch)
