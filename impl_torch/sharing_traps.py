"""Demonstrate the traps of weights that stand at several places in PyTorch: tied, or averaged.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_sharing_traps.py`` judges them.
"""

from __future__ import annotations

import copy
import warnings
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from impl_torch.backward_traps import _raised

LR, WIDTH, WORDS, DECAY = 0.1, 4, 6, 0.9


def tied_weight_frozen_by_name() -> dict[str, Any]:
    """Freeze the head of a model whose head and embedding are one weight.

    ``named_parameters`` lists a tied weight once, under its first name: no name begins with "head."
    and nothing is frozen. Freezing the module freezes the embedding as well. The table shows how
    many tensors were selected, and how far a step moves what the head computes with.
    """
    results = {}
    for way in ("by_name", "by_module", "by_identity"):
        model = _Tied()
        named = list(model.named_parameters())
        if way == "by_name":
            frozen = [p for name, p in named if name.startswith("head.")]
        else:
            frozen = list(model.head.parameters())
        head_ids = {id(p) for p in frozen}  # by identity the name under which it stands is found
        names = [name for name, p in named if id(p) in head_ids] if way == "by_identity" else []
        for parameter in frozen:
            parameter.requires_grad_(False)
        start = model.head.weight.detach().clone()
        trained = [p for p in model.parameters() if p.requires_grad]
        model.loss().backward()
        torch.optim.SGD(trained, lr=LR).step()
        results[way] = {
            "selected": len(frozen),
            "known_as": ", ".join(names) or "–",
            "head_moved": _distance(model.head.weight, start),
            "embedding_trained": any(p is model.embedding.weight for p in trained),
        }
    refused = _raised(partial(_select, _Tied(), "head."))
    return {**results, "empty_selection_refused": {"raised": refused}}


def tied_weight_in_two_optimizers() -> dict[str, Any]:
    """Step a tied weight by an optimizer of the embedding and one of the head.

    Each steps it once. One optimizer over `model.parameters()` has it once; listed twice in one
    group it is stepped twice, with a warning; in two groups it raises. The table shows how far the
    weight moves, relative to one optimizer.
    """
    moved: dict[str, Any] = {}
    raised: dict[str, Any] = {}
    for way in ("one_optimizer", "two_optimizers", "listed_twice", "two_groups"):
        model = _Tied()
        start = model.head.weight.detach().clone()
        parts = [[*model.embedding.parameters()], [*model.head.parameters()]]
        model.loss().backward()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # of the duplicates in one group
            if way == "two_groups":
                groups = [{"params": part} for part in parts]
                raised[way] = _raised(partial(torch.optim.SGD, groups, lr=LR))
                continue
            lists = {
                "one_optimizer": [[*model.parameters()]],
                "two_optimizers": parts,
                "listed_twice": [[*parts[0], *parts[1]]],
            }
            for optimizer in [torch.optim.SGD(one, lr=LR) for one in lists[way]]:
                optimizer.step()
        moved[way] = _distance(model.head.weight, start)
    once = moved["one_optimizer"]
    results = {way: {"moved_over_once": m / once, "raised": None} for way, m in moved.items()}
    return {**results, "two_groups": {"moved_over_once": None, "raised": raised["two_groups"]}}


def tied_weight_copied() -> dict[str, Any]:
    """Copy a tied model's weights, module by module and as a whole, and take a step of the copy.

    A weight that is assigned to both modules as two parameters is tied no more. `load_state_dict`
    and `deepcopy` keep the tie. The table shows how far apart the two places are after a step.
    """
    apart = {}
    for way in ("a_parameter_for_each", "load_state_dict", "deepcopy"):
        model = _Tied()
        twin = copy.deepcopy(model) if way == "deepcopy" else _Tied()
        if way == "load_state_dict":
            twin.load_state_dict(model.state_dict())
        elif way == "a_parameter_for_each":
            for module in (twin.embedding, twin.head):
                module.weight = nn.Parameter(model.head.weight.detach().clone())
        twin.loss().backward()
        torch.optim.SGD(twin.parameters(), lr=LR).step()
        apart[way] = {"places_apart": _distance(twin.embedding.weight, twin.head.weight)}
    return apart


def teacher_without_buffers() -> dict[str, Any]:
    """Average a student's weights into a teacher, with and without BatchNorm's statistics.

    The statistics are buffers, which ``parameters()`` does not list: the teacher normalizes by mean
    0 and variance 1 for ever. The table shows how far the teacher's output in eval mode is from the
    student's after 60 steps, relative to it.
    """
    ways = ("parameters_alone", "buffers_copied", "buffers_averaged", "AveragedModel")
    results = {}
    for way in ways:
        torch.manual_seed(0)
        student = nn.Sequential(
            nn.Linear(WIDTH, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, WIDTH)
        )
        x, target = 3.0 + 2.0 * torch.randn(64, WIDTH), torch.randn(64, WIDTH)
        teacher = copy.deepcopy(student).requires_grad_(False)
        averaged = AveragedModel(student, multi_avg_fn=get_ema_multi_avg_fn(DECAY))
        optimizer = torch.optim.SGD(student.parameters(), lr=0.02)
        for _ in range(60):
            optimizer.zero_grad()
            (student(x) - target).square().mean().backward()
            optimizer.step()
            _average(teacher, student, way)
            averaged.update_parameters(student)  # copies buffers unless told to average them
        chosen: nn.Module = averaged if way == "AveragedModel" else teacher
        outputs = [net.eval()(x) for net in (chosen, student)]
        off = (outputs[0] - outputs[1]).norm() / outputs[1].norm()
        results[way] = {"output_off": off.item()}
    return results


class _Tied(nn.Module):
    """An embedding, a Linear layer, and a head whose weight is the embedding's."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.embedding = nn.Embedding(WORDS, WIDTH)
        self.body = nn.Linear(WIDTH, WIDTH)
        self.head = nn.Linear(WIDTH, WORDS, bias=False)
        self.head.weight = self.embedding.weight

    def loss(self) -> Tensor:
        """Return the cross-entropy of each word against the one that follows it."""
        words = torch.arange(WORDS)
        logits: Tensor = self.head(self.body(self.embedding(words)))
        return nn.functional.cross_entropy(logits, words.roll(-1))


def _select(model: nn.Module, prefix: str) -> list[nn.Parameter]:
    """Return the parameters whose name begins so; raise ValueError where there is none."""
    chosen = [p for name, p in model.named_parameters() if name.startswith(prefix)]
    if not chosen:
        names = ", ".join(name for name, _ in model.named_parameters(remove_duplicate=False))
        raise ValueError(f"no parameter under {prefix!r}: a tied weight has one name of {names}")
    return chosen


def _average(teacher: nn.Module, student: nn.Module, way: str) -> None:
    """Move a teacher a little towards the student: parameters, and buffers where ``way`` says."""
    with torch.no_grad():
        for ours, own in zip(teacher.parameters(), student.parameters(), strict=True):
            ours.lerp_(own, 1.0 - DECAY)
        for buffer, moved in zip(teacher.buffers(), student.buffers(), strict=True):
            if way == "buffers_averaged" and buffer.is_floating_point():
                buffer.lerp_(moved, 1.0 - DECAY)
            elif way != "parameters_alone":
                buffer.copy_(moved)


def _distance(one: Tensor, other: Tensor) -> float:
    """Return the largest absolute difference of any element."""
    return (one - other).abs().max().item()
