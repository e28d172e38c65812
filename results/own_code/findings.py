"""Decide from an observation of some training steps what is wrong with the code that took them.

All functions are pure. A rule reports nothing where correct code could lead to the same
observation; docs/check.md lists its conditions. A tensor *moves* when its values change.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from results.own_code.check_schema import Finding, Move, Observation, Saving, Tensor
from results.own_code.finding_texts import CAUSES, MENDS, MENDS_BY_CAUSE, TITLES, anchor
from results.records.texts import first_names

SHARE = 0.01  # of a step's FLOPs: less wasted work than this is not reported
DIFFERS = 0.05  # relative; a larger difference of gradients is no rounding error, even in bfloat16
SAME = 1e-5  # relative; gradients whose norms differ by less were clipped to one value
LEAST_PILED = 2  # steps along a gradient that was not cleared: one may be meant
STATED = "stated"  # of a tensor that the user's Case names as frozen


def find(observation: Observation) -> list[Finding]:
    """Return everything that is wrong, in the order of the codes."""
    findings = [one for rule in RULES for one in rule(observation)]
    return sorted(findings, key=lambda one: one["code"])


def _frozen_moves(observation: Observation) -> Iterator[Finding]:
    """CB101: the user's Case freezes a parameter, and it moves all the same."""
    causes: dict[str, str] = {}
    for move in observation["moves"]:
        tensor = _tensor_of_name(observation, move["name"])
        if tensor["frozen"] and (tensor["frozen"] == STATED or not move["required"]):
            causes.setdefault(move["name"], _cause_of_move(move))
    for tensor in _parameters(observation):
        if tensor["frozen"] and tensor.get("cause"):
            causes[tensor["name"]] = str(tensor["cause"])
        by_hand = any(tensor.get("outside") or ()) and any(tensor.get("gradients") or ())
        if tensor["frozen"] == STATED and by_hand:
            causes.setdefault(tensor["name"], "by_hand")
    for cause, names in _grouped(causes):
        yield _finding(observation, "CB101", cause, names, _movement(observation, names))


def _cause_of_move(move: Move) -> str:
    """Return what made an optimizer move a frozen parameter."""
    if move["gradient"] == "value":
        return "gradient" if move["accumulated"] else "stale"
    if move["gradient"] == "zero":
        return "decay" if move["decay"] else "momentum"
    return "optimizer"


def _statistics_move(observation: Observation) -> Iterator[Finding]:
    """CB102: a frozen module's forward pass moves a buffer; the module's parameters do not move."""
    names = [
        one["name"]
        for one in observation["tensors"]
        if one["kind"] == "buffer"
        and one["frozen"]
        and one.get("in_forward")
        and not one.get("beside_moved")
    ]
    if names:
        yield _finding(observation, "CB102", "forward", names, _movement(observation, names))


def _does_not_move(observation: Observation) -> Iterator[Finding]:
    """CB201: a parameter gets a gradient, is not frozen, and never moves."""
    causes = {}
    for one in _parameters(observation):
        if one["frozen"] or any(one["moved"]):
            continue
        if cause := _cause_of_no_movement(observation, one):
            causes[one["name"]] = cause
    for cause, names in _grouped(causes):
        evidence = f"unmoved in {observation['steps']} steps"
        yield _finding(observation, "CB201", cause, names, evidence)


def _cause_of_no_movement(observation: Observation, parameter: Tensor) -> str | None:
    """Return why a parameter that a loss depends on never moves; None where that may be right."""
    weightless = (observation["zero_weight"] or {}).get("loss")
    reached = any(
        s == "value" for loss, s in parameter.get("reach", {}).items() if loss != weightless
    )
    gradients = parameter.get("gradients")
    if gradients is None:  # JAX shows only the state before and after a step
        nothing = not any(any(t["moved"]) for t in _parameters(observation))
        if not reached or parameter.get("slight") or (nothing and observation.get("state_changes")):
            return None
        return "nothing" if nothing and "state_changes" in observation else "unmoved"
    if not any(gradients):
        return None
    if not parameter["held"]:
        return "another" if parameter["shape"] in observation["strangers"] else "not_held"
    return (
        "cleared" if parameter["cleared"] and parameter["stepped"] and parameter["rate"] else None
    )


def _not_reached(observation: Observation) -> Iterator[Finding]:
    """CB202: an optimizer holds a parameter that the losses depend on, and no gradient arrives."""
    causes = {}
    for one in _parameters(observation):
        gradients = one.get("gradients")
        if one["frozen"] or any(gradients or ()) or one.get("held") is False:
            continue
        if one.get("cut") and not (gradients is not None and any(one["moved"])):
            causes[one["name"]] = str(one["cut"])
        elif gradients is not None and not any(one["moved"]) and _cut_in_step(one):
            causes[one["name"]] = "step"
    for cause, names in _grouped(causes):
        yield _finding(
            observation,
            "CB202",
            cause,
            names,
            f"no gradient arrived in {observation['steps']} steps",
        )


def _cut_in_step(parameter: Tensor) -> bool:
    """Return whether some loss, differentiated by itself, gives this parameter a gradient.

    Its module must run in the step, and its optimizer step with a learning rate above 0. That no
    gradient arrived in the step is known by then.
    """
    reached = "value" in parameter.get("reach", {}).values()
    return bool(reached and parameter["stepped"] and parameter["rate"] and parameter["called"])


def _moves_twice(observation: Observation) -> Iterator[Finding]:
    """CB203: within a training step one gradient updates a parameter twice.

    Or a hook of the backward pass updates it, once for each of several passes.
    """
    causes: dict[str, str] = {}
    most = 0
    order = sorted(observation["moves"], key=lambda m: (m["name"], m["step"]))
    for (name, _), group in groupby(order, key=lambda m: (m["name"], m["step"])):
        moves = list(group)
        inside = [m for m in moves if m["inside"]]
        again = [m for m in moves if _uses_gradient_again(m)]
        if len(inside) > 1:
            causes[name], most = "hook", max(most, len(inside))
        elif again and _tensor_of_name(observation, name)["frozen"] is None:
            others = len({m["optimizer"] for m in moves}) > 1
            several = len(_tensor_of_name(observation, name).get("optimizers") or ()) > 1
            causes[name] = "optimizers" if others or several else "again"
            most = max(most, 1 + len(again))
    for cause, names in _grouped(causes):
        yield _finding(observation, "CB203", cause, names, f"{most} updates in one training step")


def _uses_gradient_again(move: Move) -> bool:
    """Return whether an update uses a gradient of these steps that has moved the tensor before."""
    return not move["fresh"] and move["accumulated"] and move["gradient"] == "value"


def _piles_up(observation: Observation) -> Iterator[Finding]:
    """CB204: nothing clears gradients, and optimizers step along the sum of those of all steps."""
    piled = {t["name"]: t.get("piled", 0) for t in _parameters(observation) if any(t["moved"])}
    names = [name for name, steps in piled.items() if steps >= LEAST_PILED]
    if names:
        evidence = f"the gradient of earlier steps is in it in {max(piled.values())} steps"
        yield _finding(observation, "CB204", "piled", names, evidence)


def _frozen_gradients(observation: Observation) -> Iterator[Finding]:
    """CB301: gradients of frozen parameters are computed; without them a step needs fewer FLOPs."""
    saving = observation["frozen_gradients"]
    if saving and _saved(saving) >= SHARE:
        names = saving.get("names") or [t["name"] for t in _parameters(observation) if t["frozen"]]
        yield _finding(observation, "CB301", "frozen", names, _price(saving))


def _separate_passes(observation: Observation) -> Iterator[Finding]:
    """CB302, CB303: several backward passes walk one autograd graph.

    One pass of the summed losses needs fewer FLOPs (CB302), or gives other gradients (CB303).
    """
    saving = observation["merged"]
    if saving is None:
        return
    difference = saving.get("difference", 0.0)
    if difference > DIFFERS:
        where = [saving["where"]] if saving.get("where") else []
        evidence = f"relative difference of the gradients {min(difference, 999.0):.2g}"
        yield _finding(observation, "CB303", "hook", [n for n in where if n], evidence)
    elif _saved(saving) >= SHARE:
        evidence = f"{saving.get('passes', 2)} backward passes where 1 is enough; {_price(saving)}"
        yield _finding(observation, "CB302", "separate", [], evidence)


def _zero_weight(observation: Observation) -> Iterator[Finding]:
    """CB304: a loss is multiplied by 0 in every step, and FLOPs are spent on it all the same."""
    counted = observation["zero_weight"]
    if counted and counted["zero_flops"] >= SHARE * max(counted["flops"], 1):
        share = counted["zero_flops"] / counted["flops"]
        evidence = f"{share:.0%} of the step's FLOPs"
        names = [counted["loss"]] if counted.get("loss") else []
        yield _finding(observation, "CB304", "zero", names, evidence)


def _nonfinite(observation: Observation) -> Iterator[Finding]:
    """CB401: a tensor that is finite at the start is not so after a step."""
    first = observation["first_nonfinite"]
    if first:
        names = first["losses"]
        evidence = (
            f"by the gradient of {', '.join(names)}" if names else "by no loss differentiated alone"
        )
        yield _finding(
            observation,
            "CB401",
            "nonfinite",
            first["names"],
            f"in step {first['step'] + 1}, {evidence}",
        )


def _autocast(observation: Observation) -> Iterator[Finding]:
    """CB402: an optimizer steps in an autocast region, which goes on with its cached copy."""
    names = [one["name"] for one in _parameters(observation) if one.get("stale_cast")]
    if names:
        yield _finding(observation, "CB402", "cached", names, _movement(observation, names))


def _clipping(observation: Observation) -> Iterator[Finding]:
    """CB403: gradients are clipped, by norm or by value, before the scaler unscales them."""
    events = [
        one for one in observation["clipped"] if all(v == v and v < 1e300 for v in one.values())
    ]
    if len(events) < 2:
        return
    for size in ("after", "largest"):
        if _spread(events, size) < min(SAME, _spread(events, "before") / 10):
            one = events[0]
            evidence = (
                f"gradient norm {one['before']:.3g} clipped to {one['after']:.3g} while "
                f"multiplied by the loss scale {one['scale']:.3g}"
            )
            yield _finding(observation, "CB403", "scaled", [], evidence)
            return


def _spread(events: list[dict[str, float]], key: str) -> float:
    """Return how far the largest of some figures is above the smallest, relative to it."""
    values = [one[key] for one in events]
    return max(values) / max(min(values), 1e-300) - 1.0


def _not_reduced(observation: Observation) -> Iterator[Finding]:
    """CB404: DDP all-reduces the gradients of some parameters; others are trained without."""
    if observation["reduced"] is None:
        return
    names = [
        one["name"]
        for one in _parameters(observation)
        if any(one["moved"])
        and any(one.get("gradients") or ())
        and one["name"] not in observation["reduced"]
    ]
    if names:
        yield _finding(
            observation,
            "CB404",
            "local",
            names,
            f"gradients of {len(observation['reduced'])} tensors are all-reduced",
        )


RULES: tuple[Callable[[Observation], Iterable[Finding]], ...] = (
    _frozen_moves,
    _statistics_move,
    _does_not_move,
    _not_reached,
    _moves_twice,
    _piles_up,
    _frozen_gradients,
    _separate_passes,
    _zero_weight,
    _nonfinite,
    _autocast,
    _clipping,
    _not_reduced,
)


def _finding(
    observation: Observation, code: str, cause: str, names: list[str], evidence: str
) -> Finding:
    """Return a finding with its texts."""
    about = f"{first_names(names)}: " if names else ""
    return {
        "code": code,
        "title": TITLES[code],
        "cause": cause,
        "tensors": names,
        "message": f"{about}{CAUSES[code][cause]} ({evidence})",
        "mend": MENDS_BY_CAUSE.get(cause) or MENDS[observation["framework"]][code],
        "page": anchor(code),
    }


def _parameters(observation: Observation) -> list[Tensor]:
    """Return the parameters of an observation."""
    return [one for one in observation["tensors"] if one["kind"] == "parameter"]


def _tensor_of_name(observation: Observation, name: str) -> Tensor:
    """Return the tensor of this name."""
    return next(one for one in observation["tensors"] if one["name"] == name)


def _grouped(causes: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each cause with the names that have it."""
    for cause in dict.fromkeys(causes.values()):
        yield cause, [name for name, own in causes.items() if own == cause]


def _movement(observation: Observation, names: list[str]) -> str:
    """Return by how much, and in how many steps, tensors move."""
    moved = [one["moved"] for one in observation["tensors"] if one["name"] in names]
    largest = max((size for sizes in moved for size in sizes), default=0.0)
    steps = max((sum(bool(size) for size in sizes) for sizes in moved), default=0)
    size = f"{largest:.2g}" if largest < 1e300 else "infinity"
    return f"elements by up to {size}, in {steps} of {observation['steps']} steps"


def _saved(saving: Saving) -> float:
    """Return the share of FLOPs that a change would save."""
    return 1.0 - saving["least_flops"] / saving["flops"] if saving["flops"] else 0.0


def _price(saving: Saving) -> str:
    """Return what a step costs and could cost, in FLOPs and in time."""
    evidence = f"{saving['flops'] / max(saving['least_flops'], 1.0):.2f} × the FLOPs needed"
    one, least = saving["seconds"], saving["least_seconds"]
    return (
        f"{evidence}; {1e3 * one:.3g} ms a step, {1e3 * least:.3g} ms possible"
        if one and least
        else evidence
    )
