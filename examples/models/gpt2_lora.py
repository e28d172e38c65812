"""GPT-2 with LoRA adapters of peft: everything but the adapters is frozen, by requires_grad.

cascade-bench try gpt2_lora.py
cascade-bench check gpt2_lora.py
"""

import torch
from peft import LoraConfig, get_peft_model
from transformers import GPT2Config, GPT2LMHeadModel

from cascade_bench import Case


def make():
    """Build a small GPT-2 with adapters in its attention; what is frozen is read off the model."""
    config = GPT2Config(vocab_size=512, n_positions=64, n_embd=64, n_layer=2, n_head=4)
    adapters = LoraConfig(r=4, target_modules=["c_attn"], fan_in_fan_out=True, lora_dropout=0.1)
    model = get_peft_model(GPT2LMHeadModel(config), adapters)
    batch = {"input_ids": torch.randint(512, (8, 32))}

    def losses(batch):
        return {"task": model(**batch, labels=batch["input_ids"]).loss}

    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad])

    def step():
        optimizer.zero_grad()
        losses(batch)["task"].backward()
        optimizer.step()

    return Case({"model": model}, losses, batch, step=step)
