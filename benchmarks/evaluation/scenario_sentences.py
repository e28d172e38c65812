"""Say in words what a spec holds as data: optimizers, trainings, and what cannot exist."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.harness.protocol.cells import FRONT_ONLY
from benchmarks.scenarios import Scenario
from benchmarks.scenarios.spec import Follower, Optimizer, Segment, Training

WIDTH = 110  # letters of a line
ARRANGEMENTS = {
    "groups": "one optimizer, with a parameter group for each network",
    "separate": "one optimizer for each network",
    "together": "one optimizer over everything that is trained",
}
KINDS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}
CUTS_ELSEWHERE = "what is frozen does not stand in front of everything that is trained"


def code_names(names: Iterable[str]) -> str:
    """Return the names as inline code, with commas between."""
    return ", ".join(map(_code, names))


def _code(name: str) -> str:
    return f"`{name}`"


def paragraph(text: str) -> str:
    """Return the text in lines of `WIDTH` letters."""
    return _filled(text)


def bullets(texts: Iterable[str]) -> str:
    """Return a Markdown list, a text each."""
    return "\n".join(_filled(f"- {text}", indent="  ") for text in texts)


def titled(title: str, texts: Sequence[str]) -> str:
    """Return a paragraph that begins with the title, or a list below it if there are several."""
    if len(texts) == 1:
        return paragraph(f"**{title}.** {texts[0]}")
    return f"**{title}**\n\n{bullets(texts)}"


def titled_names(title: str, texts: Mapping[str, str]) -> str:
    """Return a list of named texts below the title; names of the same text share a line."""
    names_of: dict[str, list[str]] = {}
    for name, text in texts.items():
        names_of.setdefault(text, []).append(name)
    lines = [f"{code_names(names)}: {text}." for text, names in names_of.items()]
    return f"**{title}**\n\n{bullets(lines)}"


def optimizers(scenario: Scenario) -> list[str]:
    """Return a sentence about the scenario's optimizer, or one about that of each variant."""
    own = {name: v.optimizer for name, v in scenario.variants.items() if v.optimizer}
    if not own:
        return [f"{_optimizer(scenario.optimizer)}."]
    return [f"`{name}`: {_optimizer(one)}." for name, one in own.items()]


def _optimizer(optimizer: Optimizer) -> str:
    """Return words about an optimizer: kind, settings, rates, arrangement over networks."""
    settings = ", ".join(f"{name} {_number(value)}" for name, value in optimizer.settings.items())
    rates = "".join(f", `{name}` at {rate:g}" for name, rate in optimizer.rates.items())
    return f"{KINDS[optimizer.kind]} ({settings}{rates}), {ARRANGEMENTS[optimizer.arrangement]}"


def _number(value: Any) -> str:
    """Return a setting as text; some are tuples, such as Adam's betas."""
    return str(value) if isinstance(value, tuple) else f"{value:g}"


def training(one: Training) -> str:
    """Return a sentence about a training: its steps, and the end that the checks demand."""
    steps = ", then ".join(map(_segment, one.segments))
    ends = [f"on {code_names(one.losses)} alone"] if one.losses else []
    ends += [
        f"{network}'s output ends within {tolerance:g} of {target:g}"
        for network, (target, tolerance) in one.reaches.items()
    ]
    ends += [f"{network} ends where it began, bit by bit" for network in one.unmoved]
    ends += [f"Adam has counted {n} steps of {net}" for net, n in one.steps_counted.items()]
    return f"`{one.name}`: {'; '.join([steps, *ends])}."


def _segment(segment: Segment) -> str:
    """Return words about a part of a training: steps, turns, learning rate, new optimizer."""
    turns = "" if segment.turns == ("-",) else f" of {' and '.join(map(_code, segment.turns))}"
    of = f" of {code_names(segment.only)}" if segment.only else ""
    rate = f" at {segment.rate:g} times the learning rate{of}" if segment.rate != 1 else ""
    renewed = " with a new optimizer" if segment.renew else ""
    shared = " over one forward pass of the network in front" if segment.share_forward else ""
    return f"{segment.steps} steps{turns}{rate}{renewed}{shared}{_follower(segment.follower)}"


def _follower(follower: Follower | None) -> str:
    """Return words about a network that follows another after each step; empty without one."""
    if follower is None:
        return ""
    own_share, buffers = (
        1.0 - follower.share,
        "buffers are copied" if follower.buffers else "no buffers are copied",
    )
    average = f"{own_share:g} · {follower.network} + {follower.share:g} · {follower.leader}"
    return f", after each of which {follower.network} becomes {average}; {buffers}"


def impossible(scenario: Scenario) -> list[str]:
    """Return a sentence for each strategy, recipe or mode that is unsupported, with the reason."""
    variants_of: dict[tuple[str, str], list[str]] = {}
    for variant, names, reason in _reasons(scenario):
        variants_of.setdefault((names, reason), []).append(variant)
    return [
        f"{names}{_in(variants, scenario)}: {reason}."
        for (names, reason), variants in variants_of.items()
    ]


def _reasons(scenario: Scenario) -> Iterator[tuple[str, str, str]]:
    """Yield (variant, strategy or recipe, reason)."""
    cutting = " and ".join(f"`torch/{recipe}`" for recipe in FRONT_ONLY)
    for name, variant in scenario.variants.items():
        for key, reason in variant.impossible.items():
            yield name, f"`{key}`", reason
        if variant.frozen and not variant.frozen_in_front:
            yield name, cutting, CUTS_ELSEWHERE


def _in(variants: Sequence[str], scenario: Scenario) -> str:
    """Return words that name the variants; empty where they are all of the scenario."""
    return "" if len(variants) == len(scenario.variants) else f" in {code_names(variants)}"


def _filled(text: str, indent: str = "") -> str:
    """Return a text in lines of `WIDTH` letters, all but the first indented."""
    return textwrap.fill(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )
