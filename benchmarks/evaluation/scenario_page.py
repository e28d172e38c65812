"""Make ``docs/scenarios.md``, the catalogue of scenarios, from their specs (``make docs``)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from benchmarks.evaluation import scenario_sentences as sentences
from benchmarks.evaluation.description import Description
from benchmarks.evaluation.scenario_descriptions import DESCRIPTIONS
from benchmarks.evaluation.scenario_diagram import MOST_NETWORKS, diagram
from benchmarks.evaluation.scenario_sentences import code_names
from benchmarks.paths import ROOT
from benchmarks.scenarios import CATALOGUE, Scenario, Variant

PAGE = ROOT / "docs" / "scenarios.md"
HEAD = """\
# The scenarios

Every scenario is written twice, in PyTorch and in JAX, under the same name, with the same parameter
names, starting weights and data. The checks prove that both compute the same gradients and train to
the same weights; only then is anything timed. The scenarios come from questions that people ask in
public: about losses at several places of a series of networks, about two networks that are trained
in turns, about freezing a part, and about layers with learning rates of their own. The
transformers go on from there: the same questions on a model of the kind that is trained today. The
last ones are no plain series: a fork, values that are rounded on the way, a teacher beside.

{overview}

How to read the sections below:

- **Diagram**: the networks in the order in which the data passes them. A loss hangs at the output
  that it is taken from; an operation between two networks is in brackets.
- **Who trains whom**, the *flow*: `trains` means that the loss may change the network; `frozen`
  that its gradient would, but the network keeps still bit by bit; `–` that no gradient reaches the
  network, as it is absent or exactly zero. The checks prove every entry in both frameworks.
- **Variants** are sub-cases; `-` is the name of the only one. Where two networks alternate, a
  variant is the turn of one of them.
- **Cannot exist**: strategies and recipes that are `unsupported` here. Everywhere a strategy that
  runs a forward pass of its own (`reforward`; in JAX `separate_grad` as well) has no phase
  `backward`; with a single loss all strategies are the same, so only `summed` is timed; with
  nothing frozen there are no recipes.
- **Sizes**: the numbers of each size, and all parameters together. Size `gpu` never runs on a CPU.

`make docs` writes this page anew from `benchmarks/scenarios/`.
"""
SECTION = """
## {name}

{about}

```text
{diagrams}
```

{shows}

{networks}

{losses}

{data}

**Who trains whom**

{flow}

{optimizer}

{trainings}**Sizes** (checked at {checked})

{sizes}

{impossible}

```sh
pytest benchmarks --benchmark-skip --scenario {name}   # check it
pytest benchmarks --benchmark-only --scenario {name}   # check and time it
```

Code: [spec](../benchmarks/scenarios/{family}.py), [PyTorch](../impl_torch/{family}.py),
[JAX](../impl_jax/{family}.py).
"""
WIDER = "With more networks ({names}) every loss trains its own network and all in front of it."
NO_REASON = "Nothing beside the cases that cannot exist anywhere."


def page() -> str:
    """Return the page as Markdown: a table of all scenarios, then a section for each."""
    head = HEAD.format(overview=overview(CATALOGUE.values()))
    numbered = enumerate(CATALOGUE.values(), start=1)
    return head + "".join(section(number, scenario) for number, scenario in numbered)


def overview(scenarios: Iterable[Scenario]) -> str:
    """Return the table of all scenarios: number, name, family, networks and what is frozen."""
    rows = [["#", "scenario", "family", "networks", "frozen"]]
    for number, scenario in enumerate(scenarios, start=1):
        name = f"[`{scenario.name}`](#{scenario.name})"
        rows.append([str(number), name, scenario.family, _networks(scenario), _frozen(scenario)])
    return table(rows)


def section(number: int, scenario: Scenario) -> str:
    """Return the part of the page about one scenario."""
    words = DESCRIPTIONS[scenario.name]
    return SECTION.format(
        name=scenario.name,
        family=scenario.family,
        about=sentences.paragraph(
            f"Number {number}, family `{scenario.family}`: *{scenario.summary}.*"
        ),
        diagrams="\n\n".join(_diagrams(scenario, words)),
        shows=sentences.titled("What it shows", words.shows),
        networks=sentences.titled_names("Networks", words.networks),
        losses=sentences.titled_names("Losses", words.losses),
        data=sentences.titled("Data", [words.data]),
        flow=flow_table(scenario.variants) + _variants(words.variants),
        optimizer=sentences.titled("Optimizer", sentences.optimizers(scenario)),
        trainings=_trainings(scenario),
        checked=_checked(scenario),
        sizes=table(_size_rows(scenario)),
        impossible=sentences.titled("Cannot exist", sentences.impossible(scenario) or [NO_REASON]),
    )


def table(rows: Iterable[Sequence[str]]) -> str:
    """Return the rows, of which the first is the head, as a Markdown table."""
    head, *body = rows
    lines = [head, ["---"] * len(head), *body]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def flow_table(variants: Mapping[str, Variant]) -> str:
    """Return the table loss × network, and in words the flow of variants too wide for it."""
    wide = [name for name, v in variants.items() if len(v.networks) > MOST_NETWORKS]
    for name in wide:
        assert _is_cumulative(variants[name]), f"{name}: say its flow in other words"
    shown = table(_flow_rows({n: v for n, v in variants.items() if n not in wide}))
    return f"{shown}\n\n{WIDER.format(names=code_names(wide))}" if wide else shown


def _is_cumulative(variant: Variant) -> bool:
    """Return whether each loss trains its own network and all in front of it.

    Every network has one, but for the first, which may have none.
    """
    whole = [variant.networks[:i] for i in range(1, len(variant.networks) + 1)]
    return list(variant.flow.values()) in (whole, whole[1:]) and not variant.frozen


def _flow_rows(variants: Mapping[str, Variant]) -> Iterator[list[str]]:
    """Yield head and rows of the table loss × network; variants of the same flow share rows."""
    networks = list(dict.fromkeys(n for v in variants.values() for n in v.networks))
    yield ["variant", "loss", *networks]
    names_of: dict[tuple[tuple[str, ...], ...], list[str]] = {}
    for name, variant in variants.items():
        rows = tuple(
            (f"`{loss}`", *(_effect(variant, loss, n) for n in networks)) for loss in variant.flow
        )
        names_of.setdefault(rows, []).append(name)
    for rows, names in names_of.items():
        for i, row in enumerate(rows):
            yield [code_names(names) if i == 0 else "", *row]


def _effect(variant: Variant, loss: str, network: str) -> str:
    """Return the entry for a loss and a network in the table of the flow.

    It is ``trains``; ``frozen`` where the gradient of the loss would change the network, but must
    not; a dash where none reaches it; or empty where the variant does not have this network.
    """
    if network not in variant.networks:
        return ""
    if network not in variant.flow[loss]:
        return "–"
    return "frozen" if network in variant.frozen else "trains"


def _networks(scenario: Scenario) -> str:
    """Return the names of the networks, or how many there are where variants differ in that."""
    series = {variant.networks for variant in scenario.variants.values()}
    if len(series) == 1:
        return ", ".join(series.pop())
    counts = [len(networks) for networks in series]
    return f"{min(counts)} to {max(counts)} in series"


def _frozen(scenario: Scenario) -> str:
    """Return the frozen networks, with the names of the variants where it is not all of them."""
    names_of: dict[str, list[str]] = {}
    for name, variant in scenario.variants.items():
        names_of.setdefault(", ".join(variant.frozen), []).append(name)
    if len(names_of) == 1:
        return next(iter(names_of)) or "–"
    return "; ".join(f"{f} in {code_names(names)}" for f, names in names_of.items() if f)


def _diagrams(scenario: Scenario, words: Description) -> Iterator[str]:
    """Yield each different drawing, below the names of the variants that look like it.

    Args:
        scenario: with its variants.
        words: its links, and its drawings where the networks are no series.
    """
    names_of: dict[str, list[str]] = {}
    links = words.links
    for name, variant in scenario.variants.items():
        own = {n: links.get(f"{name}/{n}") or links.get(n) for n in variant.networks}
        series = diagram(variant, {network: link for network, link in own.items() if link})
        drawing = words.drawings.get(name, series)
        names_of.setdefault(drawing, []).append(name)
    for drawing, names in names_of.items():
        yield drawing if len(names_of) == 1 else f"{', '.join(names)}:\n\n{drawing}"


def _variants(texts: Mapping[str, str]) -> str:
    """Return a Markdown list that says how each variant differs; empty without texts."""
    lines = [f"`{name}`: {text}." for name, text in texts.items()]
    return f"\n\n{sentences.bullets(lines)}" if lines else ""


def _trainings(scenario: Scenario) -> str:
    """Return the part of a section about the scenario's trainings; empty where it has none."""
    lines = [sentences.training(one) for one in scenario.trainings]
    return f"**Trained in the checks**\n\n{sentences.bullets(lines)}\n\n" if lines else ""


def _checked(scenario: Scenario) -> str:
    """Return words about the sizes at which the checks run."""
    freezes = any(variant.frozen for variant in scenario.variants.values())
    apart = freezes and scenario.freeze_size not in scenario.check_sizes
    note = f"; the freezes at `{scenario.freeze_size}`" if apart else ""
    return f"{code_names(scenario.check_sizes)}{note}"


def _size_rows(scenario: Scenario) -> Iterator[list[str]]:
    """Yield head and rows of the table of sizes.

    A row holds the name of a size, its numbers, such as width and batch, and how many parameters
    (single weights and biases) the networks of the first variant have in all at that size.
    """
    names = list(next(iter(scenario.sizes.values())))
    first = next(iter(scenario.variants))
    yield [
        "size",
        *(f"`{n}`" for n in names),
        f"parameters{'' if first == '-' else f' (`{first}`)'}",
    ]
    for size, numbers in scenario.sizes.items():
        shapes = (p.shape for p in scenario.parameters_of(first, size).values())
        count = sum(math.prod(shape) for shape in shapes)
        yield [f"`{size}`", *(_value(numbers[name]) for name in names), f"{count:,}"]


def _value(value: Any) -> str:
    """Return one of the numbers of a size as text; a switch as yes or no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
