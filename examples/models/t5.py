"""T5 of transformers: encoder, decoder and output layer share one embedding.

cascade-bench try t5.py
cascade-bench check t5.py
"""

import torch
from transformers import Adafactor, T5Config, T5ForConditionalGeneration

from cascade_bench import Case


def make():
    """Build a small T5; its loss, and one on the size of what the encoder hands over."""
    config = T5Config(
        vocab_size=512,
        d_model=64,
        d_kv=16,
        d_ff=128,
        num_layers=2,
        num_heads=4,
        decoder_start_token_id=0,
    )
    model = T5ForConditionalGeneration(config).train()
    batch = {"input_ids": torch.randint(1, 512, (8, 24)), "labels": torch.randint(1, 512, (8, 16))}

    def losses(batch):
        out = model(**batch)
        return {"task": out.loss, "code": out.encoder_last_hidden_state.square().mean()}

    optimizer = Adafactor(model.parameters())

    def step():
        optimizer.zero_grad()
        sum(losses(batch).values()).backward()
        optimizer.step()

    return Case({"t5": model}, losses, batch, step=step)
