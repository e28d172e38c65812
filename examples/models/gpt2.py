"""GPT-2 of transformers: the output layer is the embedding's own tensor, Dropout is on.

cascade-bench try gpt2.py
cascade-bench check gpt2.py
"""

import torch
from transformers import GPT2Config, GPT2LMHeadModel, get_cosine_schedule_with_warmup

from cascade_bench import Case


def make():
    """Build a small GPT-2; its loss on the next token, and one on the size of its hidden states."""
    config = GPT2Config(vocab_size=512, n_positions=64, n_embd=64, n_layer=2, n_head=4)
    model = GPT2LMHeadModel(config).train()
    batch = {"input_ids": torch.randint(512, (8, 32))}

    def losses(batch):
        out = model(**batch, labels=batch["input_ids"], output_hidden_states=True)
        return {"task": out.loss, "code": out.hidden_states[-1].square().mean()}

    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed}, {"params": others, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, weight_decay=0.1)
    schedule = get_cosine_schedule_with_warmup(optimizer, 2, 100)  # the first step's rate is 0

    def step():
        optimizer.zero_grad()
        sum(losses(batch).values()).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()

    return Case({"gpt2": model}, losses, batch, step=step)
