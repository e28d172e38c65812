"""Name every parameter of a series of networks once, and find those that are tied."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from torch import nn


def name_once(
    networks: Mapping[str, nn.Module], known: Collection[str]
) -> tuple[dict[str, nn.Parameter], dict[str, str]]:
    """Return every parameter of the networks once, by its canonical name, and its other names.

    A parameter that occurs at several places is tied: it is one tensor. Its canonical name is that
    of its names which is known, or else the first. One of whole numbers has no gradient, and is
    left out.

    Args:
        networks: name of each stage → its network, first to last.
        known: names that the scenario gives to parameters.

    Returns:
        Name → parameter, and each other name → the name of the same parameter.
    """
    names: dict[nn.Parameter, list[str]] = {}
    for stage, network in networks.items():
        for name, parameter in network.named_parameters(remove_duplicate=False):
            if parameter.is_floating_point() or parameter.is_complex():
                names.setdefault(parameter, []).append(f"{stage}.{name}")
    parameters: dict[str, nn.Parameter] = {}
    tied: dict[str, str] = {}
    for parameter, own in names.items():
        chosen = next((name for name in own if name in known), own[0])
        parameters[chosen] = parameter
        tied |= {name: chosen for name in own if name != chosen}
    return parameters, tied
