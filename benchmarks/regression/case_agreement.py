"""Say whether a user's case is the same problem in two versions, with the same gradients."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from benchmarks.harness.launches.case_files import CaseFiles
from benchmarks.harness.protocol import flow
from benchmarks.own_code import description, pairing
from results.records.texts import first_names

RANDOM_HINT = (
    "; the case draws random numbers (Dropout, noise): where head draws more of them, or in "
    "another order, these differ too"
)
KEEP_ADVICE = "compare commits between which it stays, or leave it out of the case"
SAME_START_ADVICE = (
    "weights and batch must be the same at both: draw each from a generator of its own with a "
    "fixed seed (torch.Generator, jax.random.key, numpy.random.default_rng)"
)


def difference(base: CaseFiles, head: CaseFiles) -> str | None:
    """Return how the problem differs between two versions, with what to do; None if it does not.

    The same problem has the same networks, losses and parameters, the same of them frozen, and
    starts from the same weights with the same batch. Between different ones no time is compared.

    Args:
        base, head: the case, examined at each version.
    """
    return next(_differences(base, head), None)


def _differences(base: CaseFiles, head: CaseFiles) -> Iterator[str]:
    """Yield a line for each difference between two problems."""
    base_facts, head_facts = base.known_facts, head.known_facts
    for kind, ours, theirs in (
        ("network", list(base_facts["networks"]), list(head_facts["networks"])),
        ("loss", base_facts["losses"], head_facts["losses"]),
        ("parameter", _parameters(base), _parameters(head)),
        ("part of the batch", _batch(base), _batch(head)),
    ):
        if set(ours) != set(theirs):
            yield f"{_other_names(kind, ours, theirs)}; {KEEP_ADVICE}"
    shapes, new_shapes = ({n: a.shape for n, a in f.gradient().items()} for f in (base, head))
    for name, shape in shapes.items():
        if name in new_shapes and new_shapes[name] != shape:
            yield f"{name} has shape {shape} in BASE and {new_shapes[name]} in HEAD; {KEEP_ADVICE}"
    frozen, now_frozen = set(base_facts["frozen"]), set(head_facts["frozen"])
    if frozen != now_frozen:
        name = sorted(frozen ^ now_frozen)[0]
        which = ("BASE", "HEAD") if name in frozen else ("HEAD", "BASE")
        yield f"{name} is frozen in {which[0]} and trained in {which[1]}; {KEEP_ADVICE}"
    common = [
        n for n in base_facts["prints"] if n in head_facts["prints"] and n not in _buffers(base)
    ]
    differing = [n for n in common if base_facts["prints"][n] != head_facts["prints"][n]]
    if differing:
        names = first_names(differing)
        yield f"{names} begins with other values in HEAD than in BASE; {SAME_START_ADVICE}"


def _parameters(files: CaseFiles) -> list[str]:
    """Return the names of all parameters, also those that are frozen or that no loss reaches."""
    facts = files.known_facts
    names = [name for states in facts["states"].values() for name in states]
    return list(dict.fromkeys([*names, *facts["frozen"], *facts["untouched"]]))


def _batch(files: CaseFiles) -> list[str]:
    """Return the names of the tensors of the batch."""
    networks = tuple(f"{name}." for name in files.known_facts["networks"])
    return [name for name in files.known_facts["prints"] if not name.startswith(networks)]


def _buffers(files: CaseFiles) -> set[str]:
    """Return what has a print and is neither a parameter nor of the batch."""
    return set(files.known_facts["prints"]) - set(_parameters(files)) - set(_batch(files))


def _other_names(kind: str, ours: Sequence[str], theirs: Sequence[str]) -> str:
    """Return in words which names only one of two versions has."""
    gone, new = ([n for n in a if n not in b] for a, b in ((ours, theirs), (theirs, ours)))
    sides = [("BASE", gone), ("HEAD", new)]
    clauses = [
        f"{side} alone has the {kind} {first_names(names)}" for side, names in sides if names
    ]
    return ", and ".join(clauses)


def disagreement(base: CaseFiles, head: CaseFiles) -> str | None:
    """Return a sentence about where losses or gradients of two versions differ; None if nowhere.

    Head's flow is held to what its case expects too.

    Args:
        base, head: the same problem, examined at each version with the same dtype.
    """
    return next(_disagreements(base, head), None)


def _disagreements(base: CaseFiles, head: CaseFiles) -> Iterator[str]:
    """Yield a sentence for each way in which head is not base.

    These are its gradients, which come first, its losses, and a flow that its case does not expect.
    """
    exact = pairing.is_float64(base) and pairing.is_float64(head)
    allowed = pairing.FLOAT64_TOLERANCE if exact else pairing.FLOAT32_TOLERANCE
    random = base.known_facts["random"] or head.known_facts["random"]
    hint = RANDOM_HINT if random else ""
    values, new_values = base.known_facts["values"], head.known_facts["values"]
    losses = [n for n in values if not _close(values[n], new_values[n], allowed)]
    changed = "".join(
        f"; the loss {name!r} is {values[name]:.6g} in base and {new_values[name]:.6g} in head"
        for name in losses[:1]
    )
    errors = _gradient_errors(base, head)
    worst = max(errors, key=lambda name: errors[name], default="")
    if worst and not errors[worst] <= allowed:
        yield (
            f"head's {base.dtype} gradients are not those of base: {worst}: relative difference "
            f"{errors[worst]:.2g}, allowed {allowed:.0e}{changed}{hint}"
        )
    if losses:
        yield f"head's losses are not those of base{changed}{hint}"
    facts = head.known_facts
    matrix = flow.of_case(facts["states"], facts["networks"])
    if wrong := description.flow_problem(matrix, facts["expected"]):
        yield f"head's flow is not the one expected: {wrong}"


def _gradient_errors(base: CaseFiles, head: CaseFiles) -> Mapping[str, float]:
    """Return parameter → relative difference of the gradients; one that is absent counts as 0."""
    networks, true, other = list(base.known_facts["networks"]), base.gradient(), head.gradient()
    gone = {name: 0.0 * array for name, array in true.items() if name not in other}
    return pairing.relative_errors(true, {**other, **gone}, networks)


def _close(one: float, other: float, allowed: float) -> bool:
    """Return whether two values of a loss differ by rounding at most."""
    return abs(one - other) <= allowed * max(abs(one), abs(other))
