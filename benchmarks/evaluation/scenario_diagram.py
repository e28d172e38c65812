"""Draw a scenario's networks in series, with the losses at their outputs, as plain text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from benchmarks.scenarios.spec import Variant

MOST_NETWORKS = 4  # of a longer series the first two and the last are drawn
DOTS = "…"


def diagram(variant: Variant, links: Mapping[str, str]) -> str:
    """Return a drawing of the networks in order, as lines of text.

    Every loss hangs at the last network it reaches. A frozen network is marked by ``(frozen)``.

    Args:
        variant: networks, frozen ones and losses.
        links: network → the operation on the way into it, if there is one.
    """
    networks = shortened(variant.networks)
    line, centres = _series(networks, variant.frozen, links)
    hanging = {network: losses_at(variant, network) for network in networks if network != DOTS}
    below = [_placed({centres[n]: mark for n in hanging if hanging[n]}) for mark in "│▼"]
    deepest = max(map(len, hanging.values()))
    for i in range(deepest):
        below.append(
            _placed({centres[n]: names[i] for n, names in hanging.items() if len(names) > i})
        )
    return "\n".join([line, *below])


def shortened(networks: Sequence[str]) -> list[str]:
    """Return the names, or of many the first two, dots and the last."""
    few = len(networks) <= MOST_NETWORKS
    return list(networks) if few else [*networks[:2], DOTS, networks[-1]]


def losses_at(variant: Variant, network: str) -> list[str]:
    """Return the losses that are taken at the output of this network."""
    order = variant.networks.index
    return [loss for loss, reached in variant.flow.items() if max(reached, key=order) == network]


def _series(
    networks: Sequence[str], frozen: Sequence[str], links: Mapping[str, str]
) -> tuple[str, dict[str, int]]:
    """Return the line of networks and arrows, and the column of each network's centre.

    Args:
        networks: in order.
        frozen: the networks to mark.
        links: network → the operation on the way into it, if there is one.
    """
    line, centres = "x", {}
    for network in networks:
        link = links.get(network)
        line += f" ──[ {link} ]──▶ " if link else " ──▶ "
        centres[network] = len(line) + len(network) // 2
        line += f"{network} (frozen)" if network in frozen else network
    return line, centres


def _placed(texts: Mapping[int, str]) -> str:
    """Return a line that holds each text around its column.

    Args:
        texts: column → text.
    """
    line = ""
    for column, text in sorted(texts.items()):
        line = line.ljust(column - len(text) // 2) + text
    return line
