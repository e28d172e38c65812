"""Decide from an observation of a training step what is wrong with it: pure functions of data.

A rule says nothing where right code could look the same; docs/check.md says of each what it asks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from itertools import groupby

from results.own_code.check_schema import Finding, Move, Observation, Saving, Tensor
from results.own_code.finding_texts import CAUSES, MENDS, TITLES, anchor

SHARE = 0.01  # of a step's FLOPs: below it nothing that is wasted is told
DIFFERS = 0.05  # relative difference of gradients that rounding does not make, in bfloat16 either
SAME = 1e-5  # relative difference of two sizes to which gradients were clipped
SHOWN = 3  # names in a message
STATED = "stated"


def find(observation: Observation) -> list[Finding]:
    """Return everything that is wrong, in the order of the codes."""
    found = [one for rule in RULES for one in rule(observation)]
    return sorted(found, key=lambda one: one["code"])


def _frozen_moves(seen: Observation) -> Iterator[Finding]:
    """CB101: the case freezes a parameter, and it moves all the same."""
    causes: dict[str, str] = {}
    for move in seen["moves"]:
        tensor = _named(seen, move["name"])
        if tensor["frozen"] and (tensor["frozen"] == STATED or not move["required"]):
            causes.setdefault(move["name"], _cause_of_move(move))
    for tensor in _parameters(seen):
        if tensor["frozen"] and tensor.get("cause"):
            causes[tensor["name"]] = str(tensor["cause"])
        by_hand = any(tensor.get("outside") or ()) and any(tensor.get("gradients") or ())
        if tensor["frozen"] == STATED and by_hand:
            causes.setdefault(tensor["name"], "by_hand")
    for cause, names in _grouped(causes):
        yield _finding(seen, "CB101", cause, names, _movement(seen, names))


def _cause_of_move(move: Move) -> str:
    """Return by what an optimizer has moved a frozen parameter."""
    if move["gradient"] == "value":
        return "gradient" if move["accumulated"] else "stale"
    if move["gradient"] == "zero":
        return "decay" if move["decay"] else "momentum"
    return "optimizer"


def _statistics_move(seen: Observation) -> Iterator[Finding]:
    """CB102: a buffer moves in its module's forward pass, and the parameters beside it do not."""
    names = [
        one["name"]
        for one in seen["tensors"]
        if one["kind"] == "buffer"
        and one["frozen"]
        and one.get("in_forward")
        and not one.get("beside_moved")
    ]
    if names:
        yield _finding(seen, "CB102", "forward", names, _movement(seen, names))


def _does_not_move(seen: Observation) -> Iterator[Finding]:
    """CB201: a parameter gets a gradient, is not frozen, and never moves."""
    causes = {}
    for one in _parameters(seen):
        if one["frozen"] or any(one["moved"]):
            continue
        if cause := _cause_of_rest(seen, one):
            causes[one["name"]] = cause
    for cause, names in _grouped(causes):
        told = f"unmoved in {seen['steps']} steps"
        yield _finding(seen, "CB201", cause, names, told)


def _cause_of_rest(seen: Observation, one: Tensor) -> str | None:
    """Return why a parameter that gets a gradient rests; None where it may."""
    weightless = (seen["zero_weight"] or {}).get("loss")
    reached = any(s == "value" for loss, s in one.get("reach", {}).items() if loss != weightless)
    gradients = one.get("gradients")
    if gradients is None:  # a framework that tells no more than the state before and after
        nothing = not any(any(t["moved"]) for t in _parameters(seen))
        if not reached or one.get("slight") or (nothing and seen.get("state_changes")):
            return None
        return "nothing" if nothing and "state_changes" in seen else "unmoved"
    if not any(gradients):
        return None
    if not one["held"]:
        return "another" if one["shape"] in seen["strangers"] else "not_held"
    return "cleared" if one["cleared"] and one["stepped"] and one["rate"] else None


def _not_reached(seen: Observation) -> Iterator[Finding]:
    """CB202: an optimizer holds a parameter that the losses depend on, and no gradient arrives."""
    causes = {}
    for one in _parameters(seen):
        gradients = one.get("gradients")
        if one["frozen"] or any(gradients or ()) or one.get("held") is False:
            continue
        if one.get("cut") and not (gradients is not None and any(one["moved"])):
            causes[one["name"]] = str(one["cut"])
        elif gradients is not None and not any(one["moved"]) and _cut_in_step(one):
            causes[one["name"]] = "step"
    for cause, names in _grouped(causes):
        yield _finding(seen, "CB202", cause, names, f"0 gradients in {seen['steps']} steps")


def _cut_in_step(one: Tensor) -> bool:
    """Return whether a loss alone reaches what runs in the step and gets no gradient there."""
    reached = "value" in one.get("reach", {}).values()
    return bool(reached and one["stepped"] and one["rate"] and one["called"])


def _moves_twice(seen: Observation) -> Iterator[Finding]:
    """CB203: a parameter is stepped twice by one gradient, or once for each backward pass."""
    causes: dict[str, str] = {}
    most = 0
    order = sorted(seen["moves"], key=lambda m: (m["name"], m["step"]))
    for (name, _), group in groupby(order, key=lambda m: (m["name"], m["step"])):
        moves = list(group)
        inside = [m for m in moves if m["inside"]]
        again = [m for m in moves if _by_an_old_gradient(m)]
        if len(inside) > 1:
            causes[name], most = "hook", max(most, len(inside))
        elif again and _named(seen, name)["frozen"] is None:
            others = len({m["optimizer"] for m in moves}) > 1
            several = len(_named(seen, name).get("optimizers") or ()) > 1
            causes[name] = "optimizers" if others or several else "again"
            most = max(most, 1 + len(again))
    for cause, names in _grouped(causes):
        yield _finding(seen, "CB203", cause, names, f"{most} moves in one step")


def _by_an_old_gradient(move: Move) -> bool:
    """Return whether a move is by a gradient of this training by which it was moved before."""
    return not move["fresh"] and move["accumulated"] and move["gradient"] == "value"


def _frozen_gradients(seen: Observation) -> Iterator[Finding]:
    """CB301: what the case freezes gets gradients, and the step without them costs less."""
    saving = seen["frozen_gradients"]
    if saving and _saved(saving) >= SHARE:
        names = saving.get("names") or [t["name"] for t in _parameters(seen) if t["frozen"]]
        yield _finding(seen, "CB301", "frozen", names, _price(saving))


def _passes(seen: Observation) -> Iterator[Finding]:
    """CB302, CB303: several passes walk one graph; one of the sum is cheaper, or differs."""
    saving = seen["merged"]
    if saving is None:
        return
    difference = saving.get("difference", 0.0)
    if difference > DIFFERS:
        where = [saving["where"]] if saving.get("where") else []
        told = f"relative difference of the gradients {min(difference, 999.0):.2g}"
        yield _finding(seen, "CB303", "hook", [n for n in where if n], told)
    elif _saved(saving) >= SHARE:
        told = f"{saving.get('passes', 2)} passes for 1; {_price(saving)}"
        yield _finding(seen, "CB302", "separate", [], told)


def _zero_weight(seen: Observation) -> Iterator[Finding]:
    """CB304: a scalar is multiplied by 0 in every step, and work is done below it."""
    counted = seen["zero_weight"]
    if counted and counted["zero_flops"] >= SHARE * max(counted["flops"], 1):
        share = counted["zero_flops"] / counted["flops"]
        told = f"{share:.0%} of the step's FLOPs"
        names = [counted["loss"]] if counted.get("loss") else []
        yield _finding(seen, "CB304", "zero", names, told)


def _nonfinite(seen: Observation) -> Iterator[Finding]:
    """CB401: a tensor that is finite at the start is not so after a step."""
    first = seen["first_nonfinite"]
    if first:
        names = first["losses"]
        told = f"from the loss {', '.join(names)}" if names else "each loss alone is finite"
        yield _finding(
            seen, "CB401", "nonfinite", first["names"], f"in step {first['step'] + 1}, {told}"
        )


def _autocast(seen: Observation) -> Iterator[Finding]:
    """CB402: a weight is used in the autocast region in which a step has changed it."""
    names = [one["name"] for one in _parameters(seen) if one.get("stale_cast")]
    if names:
        yield _finding(seen, "CB402", "cached", names, _movement(seen, names))


def _clipping(seen: Observation) -> Iterator[Finding]:
    """CB403: between backward pass and unscaling, gradients are brought to one size."""
    events = [one for one in seen["clipped"] if all(v == v and v < 1e300 for v in one.values())]
    if len(events) < 2:
        return
    for size in ("after", "largest"):
        if _spread(events, size) < min(SAME, _spread(events, "before") / 10):
            one = events[0]
            told = f"norm {one['before']:.3g} cut to {one['after']:.3g} at scale {one['scale']:.3g}"
            yield _finding(seen, "CB403", "scaled", [], told)
            return


def _spread(events: list[dict[str, float]], key: str) -> float:
    """Return how far the largest of some figures is above the smallest, relative to it."""
    values = [one[key] for one in events]
    return max(values) / max(min(values), 1e-300) - 1.0


def _not_reduced(seen: Observation) -> Iterator[Finding]:
    """CB404: DDP reduces some parameters, and others are trained beside them."""
    if seen["reduced"] is None:
        return
    names = [
        one["name"]
        for one in _parameters(seen)
        if any(one["moved"])
        and any(one.get("gradients") or ())
        and one["name"] not in seen["reduced"]
    ]
    if names:
        yield _finding(seen, "CB404", "local", names, f"{len(seen['reduced'])} tensors are reduced")


RULES: tuple[Callable[[Observation], Iterable[Finding]], ...] = (
    _frozen_moves,
    _statistics_move,
    _does_not_move,
    _not_reached,
    _moves_twice,
    _frozen_gradients,
    _passes,
    _zero_weight,
    _nonfinite,
    _autocast,
    _clipping,
    _not_reduced,
)


def _finding(seen: Observation, code: str, cause: str, names: list[str], evidence: str) -> Finding:
    """Return a finding with its texts."""
    about = f"{some(names)}: " if names else ""
    return {
        "code": code,
        "title": TITLES[code],
        "cause": cause,
        "tensors": names,
        "message": f"{about}{CAUSES[code][cause]} ({evidence})",
        "mend": MENDS[seen["framework"]][code],
        "page": anchor(code),
    }


def some(names: list[str]) -> str:
    """Return the first of some names, and how many more there are."""
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return ", ".join(names[:SHOWN]) + more


def _parameters(seen: Observation) -> list[Tensor]:
    """Return the parameters of an observation."""
    return [one for one in seen["tensors"] if one["kind"] == "parameter"]


def _named(seen: Observation, name: str) -> Tensor:
    """Return the tensor of this name."""
    return next(one for one in seen["tensors"] if one["name"] == name)


def _grouped(causes: dict[str, str]) -> Iterator[tuple[str, list[str]]]:
    """Yield each cause with the names that have it."""
    for cause in dict.fromkeys(causes.values()):
        yield cause, [name for name, own in causes.items() if own == cause]


def _movement(seen: Observation, names: list[str]) -> str:
    """Return by how much, and in how many steps, tensors move."""
    moved = [one["moved"] for one in seen["tensors"] if one["name"] in names]
    largest = max((size for sizes in moved for size in sizes), default=0.0)
    steps = max((sum(bool(size) for size in sizes) for sizes in moved), default=0)
    size = f"{largest:.2g}" if largest < 1e300 else "infinity"
    return f"by up to {size} in {steps} of {seen['steps']} steps"


def _saved(saving: Saving) -> float:
    """Return the share of FLOPs that a change would save."""
    return 1.0 - saving["least_flops"] / saving["flops"] if saving["flops"] else 0.0


def _price(saving: Saving) -> str:
    """Return what a step costs and could cost, in FLOPs and in time."""
    told = f"{saving['flops'] / max(saving['least_flops'], 1.0):.2f} × the FLOPs needed"
    one, least = saving["seconds"], saving["least_seconds"]
    return f"{told}, {1e3 * one:.3g} ms for {1e3 * least:.3g}" if one and least else told
