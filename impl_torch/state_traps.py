"""Demonstrate the traps of what a frozen network keeps in PyTorch: states that move, and draws.

Each function runs the wrong way and the right way side by side and returns the results as plain
data, which docs/traps.md shows as a table. The test of the same subject in
``benchmarks/test_state_traps.py`` judges them.
"""

from __future__ import annotations

import inspect
import tempfile
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.nn.utils import parametrizations, spectral_norm, weight_norm
from torch.optim.swa_utils import AveragedModel

from impl_torch.backward_traps import _raised

WIDTH, PASSES = 4, 20
Build = Callable[[], nn.Module]
FLAT, SEQUENCE = (8, WIDTH), (8, 3, WIDTH)
LINEAR = partial(nn.Linear, WIDTH, WIDTH)
# Every module of torch.nn that behaves otherwise in train() than in eval(), and every
# parametrization, in eval() or not; → how to build it, and the shape of its input.
MODULES: dict[str, tuple[Build, tuple[int, ...]]] = {
    "BatchNorm1d": (lambda: nn.BatchNorm1d(WIDTH), FLAT),
    "BatchNorm2d": (lambda: nn.BatchNorm2d(WIDTH), (8, WIDTH, 2, 2)),
    "BatchNorm3d": (lambda: nn.BatchNorm3d(WIDTH), (8, WIDTH, 2, 2, 2)),
    "SyncBatchNorm": (lambda: nn.SyncBatchNorm(WIDTH), FLAT),  # of one process: BatchNorm
    "InstanceNorm1d": (lambda: nn.InstanceNorm1d(WIDTH, track_running_stats=True), (8, WIDTH, 3)),
    "InstanceNorm2d": (
        lambda: nn.InstanceNorm2d(WIDTH, track_running_stats=True),
        (8, WIDTH, 2, 2),
    ),
    "InstanceNorm3d": (
        lambda: nn.InstanceNorm3d(WIDTH, track_running_stats=True),
        (8, WIDTH, 2, 2, 2),
    ),
    "Dropout": (nn.Dropout, FLAT),
    "Dropout1d": (nn.Dropout1d, (8, WIDTH, 3)),
    "Dropout2d": (nn.Dropout2d, (8, WIDTH, 2, 2)),
    "Dropout3d": (nn.Dropout3d, (8, WIDTH, 2, 2, 2)),
    "AlphaDropout": (nn.AlphaDropout, FLAT),
    "FeatureAlphaDropout": (nn.FeatureAlphaDropout, (8, WIDTH, 3)),
    "RReLU": (nn.RReLU, FLAT),
    "MultiheadAttention": (lambda: nn.MultiheadAttention(WIDTH, 2, 0.5), SEQUENCE),
    "TransformerEncoderLayer": (lambda: _encoder_layer(), SEQUENCE),
    "TransformerEncoder": (lambda: nn.TransformerEncoder(_encoder_layer(), 1), SEQUENCE),
    "TransformerDecoderLayer": (lambda: nn.TransformerDecoderLayer(WIDTH, 2, 8), SEQUENCE),
    "RNN": (lambda: nn.RNN(WIDTH, WIDTH, 2, dropout=0.5), (3, 8, WIDTH)),
    "LSTM": (lambda: nn.LSTM(WIDTH, WIDTH, 2, dropout=0.5), (3, 8, WIDTH)),
    "GRU": (lambda: nn.GRU(WIDTH, WIDTH, 2, dropout=0.5), (3, 8, WIDTH)),
    "parametrizations.spectral_norm": (lambda: parametrizations.spectral_norm(LINEAR()), FLAT),
    "parametrizations.weight_norm": (lambda: parametrizations.weight_norm(LINEAR()), FLAT),
    "parametrizations.orthogonal": (lambda: parametrizations.orthogonal(LINEAR()), FLAT),
}
FURTHER: dict[str, tuple[Build, tuple[int, ...]]] = {
    "BatchNorm1d, momentum=None": (lambda: nn.BatchNorm1d(WIDTH, momentum=None), FLAT),
    "BatchNorm1d, no statistics": (
        lambda: nn.BatchNorm1d(WIDTH, track_running_stats=False),
        FLAT,
    ),
    "AveragedModel of BatchNorm1d": (lambda: AveragedModel(nn.BatchNorm1d(WIDTH)), FLAT),
    "Transformer": (lambda: nn.Transformer(WIDTH, 2, 1, 1, 8, batch_first=True), SEQUENCE),
    "spectral_norm": (lambda: spectral_norm(LINEAR()), FLAT),
    "weight_norm": (lambda: weight_norm(LINEAR()), FLAT),
}
DECLARED: dict[str, str] = {}  # name → why nothing is shown for it
# How often a module is handed its input; the others get it once.
TIMES = {"MultiheadAttention": 3, "TransformerDecoderLayer": 2, "Transformer": 2}
NORMALIZED: dict[str, Callable[[nn.Module], nn.Module]] = {
    "spectral_norm": spectral_norm,
    "parametrizations.spectral_norm": parametrizations.spectral_norm,
    "weight_norm": weight_norm,
    "parametrizations.weight_norm": parametrizations.weight_norm,
}


def train_undoes_eval() -> dict[str, Any]:
    """Set a frozen module to `eval()`, and call `train()` on the model around it.

    `train()` reaches every module below. The table shows how far the frozen module's buffers move
    in a forward pass after it, and how far two forward passes of one batch are apart; and the
    larger of the two where `eval()` was called last.
    """
    results: dict[str, Any] = {}
    for name, (build, shape) in {**MODULES, **FURTHER}.items():
        ways = {}
        for way in ("eval", "eval_then_train", "eval_again_after_train"):
            torch.manual_seed(0)
            frozen = build().requires_grad_(False)
            model = nn.Sequential(frozen)
            frozen.eval()
            if way != "eval":
                model.train()
            if way == "eval_again_after_train":
                frozen.eval()
            ways[way] = _behaviour(frozen, torch.randn(shape) + 1.0)
        results[name] = ways.pop("eval_then_train") | {n: max(w.values()) for n, w in ways.items()}
    return results


def modules_of_this_release() -> dict[str, Any]:
    """Return the names of all modules of torch.nn with a mode, of those shown, and declared.

    A module reads it as ``training``, or builds a Dropout. A lazy one becomes that without "Lazy"
    in its name at its first call. Every parametrization counts as one.
    """
    names = {
        name.removeprefix("Lazy")
        for name, value in vars(nn).items()
        if inspect.isclass(value) and issubclass(value, nn.Module) and _reads_its_mode(value)
    }
    forms = {f"parametrizations.{name}" for name in parametrizations.__all__}
    return {"found": sorted(names | forms), "shown": sorted(MODULES), "declared": DECLARED}


def spectral_norm_of_a_frozen_network() -> dict[str, Any]:
    """Run a frozen network with spectral normalization forward 20 times.

    Its power iteration keeps a vector in a buffer, and each pass in training mode moves it, under
    `no_grad` too, and so the weight that the network computes with. The table shows how far that
    weight moves, relative to its norm.
    """
    moved = {}
    for name in ("spectral_norm", "parametrizations.spectral_norm"):
        for way in ("train", "train_no_grad", "eval"):
            torch.manual_seed(1)
            net = NORMALIZED[name](nn.Linear(32, 32)).requires_grad_(False)
            net.train(way != "eval")
            x = torch.randn(8, 32)
            with torch.set_grad_enabled(way != "train_no_grad"):
                net(x)
                start = _weight(net)
                for _ in range(PASSES):
                    net(x)
            moved[f"{name}, {way}"] = {"weight_moved": _off(_weight(net), start)}
    return moved


def normalization_of_a_frozen_parameter() -> dict[str, Any]:
    """Run a frozen network with a normalized weight forward, in `eval()`.

    What is normalized is computed anew for each pass, from parameters that are left as they are.
    The table shows how far a parameter moves in the first pass, and in 20 further ones.
    """
    results = {}
    for name, normalize in NORMALIZED.items():
        torch.manual_seed(0)
        net = normalize(LINEAR()).requires_grad_(False).eval()
        snapshots = [_parameters(net)]
        for passes in (1, PASSES):
            for _ in range(passes):
                net(torch.ones(FLAT))
            snapshots.append(_parameters(net))
        results[name] = {
            "first_pass": _off(snapshots[1], snapshots[0]),
            "further_passes": _off(snapshots[2], snapshots[1]),
        }
    return results


def scales_of_a_normalized_weight() -> dict[str, Any]:
    """Look for the scales of weight normalization in what an optimizer of `parameters()` trains."""
    scales = {"weight_norm": "weight_g", "parametrizations.weight_norm": "original0"}
    return {
        form: {
            "scales_trained": any(
                name.endswith(scale) for name, _ in NORMALIZED[form](LINEAR()).named_parameters()
            )
        }
        for form, scale in scales.items()
    }


def dropout_drawn_twice() -> dict[str, Any]:
    """Run a network that draws twice on one batch, as a module and as a function of its state.

    torch draws from a generator that no module holds, so that what a call hands over or back does
    not matter. The table shows how far the two passes are apart.
    """
    results: dict[str, Any] = {}
    for name in ("Dropout", "MultiheadAttention"):
        torch.manual_seed(0)
        build, shape = MODULES[name]
        net, x = build(), torch.randn(shape)
        state = dict(net.named_parameters())
        ways: dict[str, Callable[[], Tensor]] = {
            "module": partial(_run, net, x),
            "functional_call": partial(_run_with, net, state, (x,) * TIMES.get(name, 1)),
        }
        results[name] = {
            way: {"passes_apart": (run() - run()).abs().max().item()} for way, run in ways.items()
        }
    return results


def synchronized_batch_norm_on_a_cpu() -> dict[str, Any]:
    """Run SyncBatchNorm on a CPU, without processes to synchronize with, and in a group of one.

    Without a group it is a BatchNorm. In a group it synchronizes in `train()`, which it does not do
    on a CPU, and runs in `eval()`.
    """

    def outcomes() -> dict[str, Any]:
        net = nn.SyncBatchNorm(WIDTH).requires_grad_(False)
        modes = {"train": True, "eval": False}
        return {
            way: _raised(partial(net.train(mode), torch.ones(FLAT))) for way, mode in modes.items()
        }

    results = {"no_group": outcomes()}
    with tempfile.TemporaryDirectory() as folder:
        dist.init_process_group("gloo", f"file://{folder}/meeting", rank=0, world_size=1)
        try:
            results["group_of_one"] = outcomes()
        finally:
            dist.destroy_process_group()
    return results


def _encoder_layer() -> nn.TransformerEncoderLayer:
    """Return an encoder layer whose input has the batch in front, as the fast path asks for it."""
    return nn.TransformerEncoderLayer(WIDTH, 2, 8, batch_first=True)


def _reads_its_mode(module: type[nn.Module]) -> bool:
    """Return whether a method of a module reads ``training`` or builds a ``Dropout``."""
    bases = [base for base in module.__mro__ if base not in (nn.Module, object)]
    methods = (value for base in bases for value in vars(base).values())
    names = (getattr(method, "__code__", None) for method in methods)
    return any({"training", "Dropout"} & set(code.co_names) for code in names if code)


def _behaviour(module: nn.Module, x: Tensor) -> dict[str, float]:
    """Return how far a forward pass moves a module's buffers, and two passes are apart."""
    before = [buffer.detach().clone().float() for buffer in module.buffers()]
    first, second = _run(module, x), _run(module, x)
    after = [buffer.detach().float() for buffer in module.buffers()]
    moved = [(a - b).abs().max().item() for a, b in zip(after, before, strict=True)]
    return {
        "buffers_moved": max(moved, default=0.0),
        "passes_apart": (first - second).abs().max().item(),
    }


def _run(module: nn.Module, x: Tensor) -> Tensor:
    """Return a module's output for one input, which some are handed several times."""
    return _first(module(*[x] * TIMES.get(type(module).__name__, 1)))


def _run_with(module: nn.Module, state: dict[str, Any], inputs: tuple[Tensor, ...]) -> Tensor:
    """Return the output of a module that is handed its state."""
    return _first(torch.func.functional_call(module, state, inputs))


def _first(output: Any) -> Tensor:
    """Return a module's output, the first where there are several."""
    tensor: Tensor = output[0] if isinstance(output, tuple) else output
    return tensor.detach()


def _weight(net: nn.Module) -> Tensor:
    """Return a copy of the weight that a layer computes with."""
    weight: Any = net.weight
    copied: Tensor = weight.detach().clone()
    return copied


def _parameters(net: nn.Module) -> Tensor:
    """Return a copy of a network's parameters, as one vector."""
    return nn.utils.parameters_to_vector(net.parameters()).detach().clone()


def _off(value: Tensor, right: Tensor) -> float:
    """Return how far a tensor is from the right one, relative to that one's norm."""
    return ((value - right).norm() / right.norm()).item()
