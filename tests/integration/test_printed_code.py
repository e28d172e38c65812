"""Hold scenarios to the code that people print for them, written out in plain PyTorch.

Each function below is such code, over the scenario's own weights and data: modules, optimizers and
loops as they are usually written, and nothing of this project. What both implementations train must
end at the same weights.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from benchmarks.harness.launches.check_workers import CheckWorkers, plan
from benchmarks.harness.protocol import equivalence
from benchmarks.harness.protocol.arrays import read_arrays
from benchmarks.scenarios import CATALOGUE
from benchmarks.scenarios.spec import Segment
from tests.helpers.lazy_module import LazyModule

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import Tensor, nn

    Networks = dict[str, nn.Sequential]
    Data = Mapping[str, Tensor]
else:
    torch, nn, F = map(LazyModule, ("torch", "torch.nn", "torch.nn.functional"))
    Networks = Data = Any

AGREE = 1e-12  # relative to each tensor, in float64


@pytest.fixture(autouse=True)
def float64() -> Iterator[None]:
    """Make float64 the default of new modules and tensors."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def lenet() -> Networks:
    features = [
        *(nn.Conv2d(3, 6, 5), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2)),
    ]
    classifier = [nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10)]
    return {"features": nn.Sequential(*features), "classifier": nn.Sequential(*classifier)}


def adam(*networks: nn.Module, lr: float) -> torch.optim.Adam:
    return torch.optim.Adam([p for net in networks for p in net.parameters()], lr=lr)


def stepped(loss: Tensor, *optimizers: torch.optim.Optimizer) -> None:
    for optimizer in optimizers:
        optimizer.zero_grad()
    loss.backward()
    for optimizer in optimizers:
        optimizer.step()


def two_player(nets: Networks, data: Data, rounds: int) -> None:
    a, b = nets["A"], nets["B"]
    optimizer_a, optimizer_b = adam(a, lr=0.1), adam(b, lr=0.1)
    for _ in range(rounds):
        output = a(data["x"])
        stepped(F.mse_loss(b(output.detach()), data["ones"]), optimizer_b)
        stepped(F.mse_loss(b(output), data["ones"]), optimizer_a)


def gan(nets: Networks, data: Data, rounds: int) -> None:
    generator, discriminator = nets["G"], nets["D"]
    optimizer_g, optimizer_d = adam(generator, lr=3e-4), adam(discriminator, lr=3e-4)
    ones, zeros = torch.ones(len(data["x"]), 1), torch.zeros(len(data["x"]), 1)
    for _ in range(rounds):
        fake = generator(data["x"])
        real_loss = F.binary_cross_entropy(discriminator(data["real"]), ones)
        fake_loss = F.binary_cross_entropy(discriminator(fake.detach()), zeros)
        stepped(real_loss + fake_loss, optimizer_d)
        fooled = discriminator(generator(data["fresh"]))  # a new draw of noise for G's step
        stepped(F.binary_cross_entropy(fooled, ones), optimizer_g)


def autoencoder(nets: Networks, data: Data, rounds: int, *, unit_power: bool, second: bool) -> None:
    encoder, decoder = nets["encoder"], nets["decoder"]

    def loss(encoder_learns: bool) -> Tensor:
        with torch.set_grad_enabled(encoder_learns):
            code = encoder(data["x"])
            if unit_power:  # per symbol: a codeword of n symbols has the norm √n
                code = code.shape[1] ** 0.5 * code / code.norm(dim=1, keepdim=True)
        return F.cross_entropy(decoder(code + data["noise"]), data["messages"])

    optimizer = adam(encoder, decoder, lr=1e-3)
    for _ in range(rounds):
        stepped(loss(encoder_learns=True), optimizer)
    if second:
        optimizer = adam(decoder, lr=1e-3)
    for _ in range(rounds):
        stepped(loss(encoder_learns=False), optimizer)


def layer_rates(nets: Networks, data: Data, rounds: int) -> None:
    features, classifier = nets["features"], nets["classifier"]
    own = [*classifier[0].parameters(), *classifier[4].parameters()]
    rest = [*features.parameters(), *classifier[2].parameters()]
    groups: list[dict[str, Any]] = [{"params": own, "lr": 1e-2}, {"params": rest}]
    optimizer = torch.optim.SGD(groups, lr=1e-3)
    for _ in range(rounds):
        stepped(classified(nets, data), optimizer)


def one_group(nets: Networks, data: Data, rounds: int, *, renew: bool) -> None:
    def optimizer(rate: float) -> torch.optim.SGD:
        groups = [
            {"params": nets["features"].parameters(), "lr": 1e-5},
            {"params": nets["classifier"].parameters(), "lr": rate},
        ]
        return torch.optim.SGD(groups, lr=1e-2, momentum=0.9)

    one = optimizer(1e-2)
    for _ in range(rounds):
        stepped(classified(nets, data), one)
    if renew:
        one = optimizer(1e-3)
    else:
        one.param_groups[1]["lr"] *= 0.1
    for _ in range(rounds):
        stepped(classified(nets, data), one)


def classified(nets: Networks, data: Data) -> Tensor:
    flat = nets["features"](data["x"]).flatten(1)
    return F.cross_entropy(nets["classifier"](flat), data["labels"])


def players() -> Networks:
    return {"A": nn.Sequential(nn.Linear(1, 10)), "B": nn.Sequential(nn.Linear(10, 1))}


def adversaries() -> Networks:
    def linears(*widths: int) -> list[nn.Linear]:
        return [nn.Linear(*pair) for pair in itertools.pairwise(widths)]

    g, d = linears(100, 256, 256, 784), linears(784, 256, 256, 1)
    leaky = nn.LeakyReLU(0.2)
    return {
        "G": nn.Sequential(g[0], nn.ReLU(), g[1], nn.ReLU(), g[2], nn.Tanh()),
        "D": nn.Sequential(d[0], leaky, d[1], leaky, d[2], nn.Sigmoid()),
    }


def coders() -> Networks:
    return {
        "encoder": nn.Sequential(nn.Linear(16, 128), nn.LeakyReLU(), nn.Linear(128, 7)),
        "decoder": nn.Sequential(nn.Linear(7, 128), nn.LeakyReLU(), nn.Linear(128, 16)),
    }


ROUNDS = 3
Case = tuple[str, Callable[[], Networks], Callable[..., None], tuple[Segment, ...]]


def coding(joint: str, alone: str, *, second: bool) -> Case:
    loop = partial(autoencoder, unit_power=joint == "joint", second=second)
    segments = (Segment(ROUNDS, (joint,)), Segment(ROUNDS, (alone,), renew=second))
    return "autoencoder", coders, loop, segments


def decaying(*, renew: bool) -> Case:
    decayed = Segment(ROUNDS, ("one_group",), 0.1, renew, only=("classifier",))
    segments = (Segment(ROUNDS, ("one_group",)), decayed)
    return "rate_decay", lenet, partial(one_group, renew=renew), segments


TURNS = ("turn_b", "turn_a")
CASES: dict[str, Case] = {
    "two_player": ("two_player", players, two_player, (Segment(ROUNDS, TURNS),)),
    "two_player_sharing": (
        *("two_player", players, two_player),
        (Segment(ROUNDS, TURNS, share_forward=True),),
    ),
    "gan": ("gan", adversaries, gan, (Segment(ROUNDS, ("turn_d", "turn_g_fresh")),)),
    "autoencoder": coding("plain_joint", "plain_decoder", second=True),
    "autoencoder_going_on": coding("plain_joint", "plain_decoder", second=False),
    "autoencoder_unit_power": coding("joint", "decoder_only", second=True),
    "lenet_layer_rates": ("lenet_layer_rates", lenet, layer_rates, (Segment(ROUNDS),)),
    "one_group_in_place": decaying(renew=False),
    "one_group_anew": decaying(renew=True),
}


# the convolutions of LeNet and the GAN's wide layers take seconds, in every framework
LONG = ("gan", "lenet_layer_rates", "one_group_in_place", "one_group_anew")


@pytest.mark.parametrize(
    "case", [pytest.param(n, marks=pytest.mark.slow) if n in LONG else n for n in CASES]
)
def test_printed_code_ends_at_the_weights_of_both_implementations(
    workers: CheckWorkers, case: str
) -> None:
    name, build, loop, segments = CASES[case]
    problem = (name, segments[0].turns[0], "seed")
    start = read_arrays(workers.files(problem).weights)
    data = {n: torch.tensor(a) for n, a in read_arrays(workers.files(problem).data).items()}
    networks = build()
    parameters = load(networks, start)
    loop(networks, data, ROUNDS)
    training = plan(CATALOGUE[name], "seed", segments)
    for framework in ("torch", "jax"):
        end = workers.train(problem, framework, training)["weights"]
        assert set(end) == set(parameters)
        for key, parameter in parameters.items():
            expected = parameter.detach().numpy()
            assert not np.array_equal(expected, start[key]), key
            assert equivalence.relative(end[key], expected) <= AGREE, (framework, key)


def load(networks: Networks, start: Mapping[str, Any]) -> dict[str, nn.Parameter]:
    """Load the scenario's weights, which stand in the order of ``parameters()``.

    Return name → parameter.
    """
    own = [parameter for network in networks.values() for parameter in network.parameters()]
    parameters = dict(zip(start, own, strict=True))
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(torch.tensor(start[name]))
    return parameters
