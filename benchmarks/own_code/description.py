"""Put into words, for the document, what was found out about a case in one framework."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.harness.measurement.job import OWN
from benchmarks.harness.protocol import flow
from benchmarks.harness.protocol.cells import DEFAULT_MODES
from benchmarks.own_code.code_lines import LINES
from benchmarks.own_code.measure import Measured
from results.own_code import document
from results.own_code.schema import Framework, Pair, PairRow, Reference, Row
from results.records.schema import Estimate

AGREES = 1e-3  # relative error of a slope that confirms the gradient
FLOAT64_NOISE = 1e-12  # relative noise of a loss that float64 explains


def framework_part(measured: Measured) -> Framework:
    """Return the part of the document about one framework."""
    facts = measured.files.known_facts
    matrix = flow.of_case(facts["states"], facts["networks"])
    return {
        "framework": measured.framework,
        "version": str(measured.described.get(measured.framework)),
        "mode": DEFAULT_MODES[measured.framework],
        "device": facts["device"],
        "dtype": "float32",
        "networks": facts["networks"],
        "losses": facts["losses"],
        "flow": matrix,
        "flow_problem": flow_problem(matrix, facts["expected"]),
        "reference": reference(measured),
        "notes": [*facts["notes"], *_notes(measured, matrix)],
        "rows": [*_rows(measured), *_impossible(measured)],
    }


def flow_problem(
    matrix: Mapping[str, Mapping[str, str]], expected: Mapping[str, Mapping[str, str]]
) -> str | None:
    """Return where the flow that was found differs from the one that the case demands."""
    for loss, networks in expected.items():
        if loss not in matrix:
            return f"expect_flow names the loss {loss!r}; there is {', '.join(matrix)}"
        for network, state in networks.items():
            if matrix[loss][network] != state:
                return f"{loss} → {network} is {matrix[loss][network]}, expect_flow says {state}"
    return None


def reference(measured: Measured) -> Reference:
    """Return what the gradients were held to."""
    files = measured.files
    return {
        "dtype": files.dtype,
        "central_difference_error": _worst_slope(measured),
        "allowed": files.allowed,
        "note": _reference_note(measured),
    }


def _worst_slope(measured: Measured) -> float | None:
    """Return the worst error of a gradient against central differences, where both exist.

    Pairs that a cut or a replaced gradient explains are left out; the notes name them.
    """
    if measured.files.dtype != "float64":
        return None
    errors = measured.files.known_facts["slope_errors"]
    hidden = measured.files.known_facts["coarse"]
    known = [
        error
        for loss, networks in errors.items()
        for network, error in networks.items()
        if error is not None and not hidden.get(loss, {}).get(network, {}).get("hidden")
    ]
    return max([e for e in known if e <= AGREES], default=None)


def _reference_note(measured: Measured) -> str | None:
    """Return what the reference does not prove; None where it is confirmed."""
    if measured.files.dtype == "float32":
        return (
            f"float64 could not be used ({measured.float64_error}): the ways are held to the "
            "summed loss in float32, which proves that they agree with it, and not that it is right"
        )
    if _worst_slope(measured) is None:
        return "central differences confirm no gradient: see the notes"
    return None


def _notes(measured: Measured, matrix: Mapping[str, Mapping[str, str]]) -> list[str]:
    """Return sentences about slopes that do not agree, and about what was left out."""
    notes = []
    facts = measured.files.known_facts
    if measured.files.dtype == "float64":
        frozen = set(facts["frozen"])
        for loss, errors in facts["slope_errors"].items():
            for network, error in errors.items():
                if coarse := facts["coarse"].get(loss, {}).get(network):
                    notes.append(_coarse_note(loss, network, **coarse))
                if error is not None and error <= AGREES:
                    continue
                names = [n for n in facts["states"][loss] if n.startswith(f"{network}.")]
                if names and not set(names) <= frozen:
                    notes.append(_cut_note(loss, network, error, matrix[loss][network]))
    notes += measured.absent
    if measured.hurry:
        notes.append(f"{measured.hurry}; a larger budget, or fewer --way, gives times")
    if measured.left_out:
        notes.append(
            f"Left out for lack of time: {', '.join(measured.left_out)}; a larger budget has them"
        )
    graph = measured.framework == "torch" and facts["series"] is not None
    if graph and any("reforward" in group.ways for group, _ in measured.groups):
        notes.append("reforward runs the whole losses function once for each loss")
    return notes


def _coarse_note(loss: str, network: str, noise: float, hidden: bool) -> str:
    """Return a sentence about a loss whose own rounding hides slopes along random directions."""
    if noise < FLOAT64_NOISE:
        return (
            f"Central differences do not confirm the gradient of {loss} by {network}, which is as "
            f"small as the rounding of {loss}"
        )
    computed = f"A part of {loss} is computed in float32 whatever it is given"
    if hidden:
        return (
            f"{computed}, too coarse for central differences to confirm its gradient by {network}"
        )
    return f"{computed}: its gradient by {network} is confirmed uphill alone"


def _cut_note(loss: str, network: str, error: float | None, state: str) -> str:
    """Return a sentence about a gradient that is not the slope of its loss."""
    if error is None:
        return (
            f"The value of {loss} depends on {network}, and no gradient arrives there ({state}): "
            "it is cut (detach, no_grad, stop_gradient)"
        )
    return (
        f"The gradient of {loss} by {network} is not the slope of {loss} (relative difference "
        f"{error:.2g}): a part of it is cut or replaced, such as by detach or a straight-through "
        "estimator, or the loss jumps there"
    )


def _rows(measured: Measured) -> list[Row]:
    """Return the rows of all ways that could be built."""
    return document.rows(groups_of(measured), LINES[measured.framework])


def groups_of(measured: Measured) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
    """Return the groups that were measured, as `results.own_code.document.rows` takes them."""
    return [
        (
            {
                "kind": group.kind,
                "scenario": OWN,
                "variant": "-",
                "size": OWN,
                "framework": measured.framework,
                "mode": DEFAULT_MODES[measured.framework],
                "phase": group.phase,
                "device": "cpu",
                "dtype": "float32",
                "baseline": group.baseline,
            },
            outcomes,
        )
        for group, outcomes in measured.groups
    ]


def _impossible(measured: Measured) -> list[Row]:
    """Return a row for each way that does not exist for this case, with the reason."""
    return [
        document.unsupported_row(
            group.kind,
            way,
            group.baseline,
            group.phase,
            why,
            LINES[measured.framework].get(way, ""),
        )
        for group, _ in measured.groups
        for way, why in group.unsupported.items()
    ]


def answer(
    parts: list[Framework],
    error: Mapping[str, Any] | None,
    pair: Pair | None = None,
    absent: Sequence[str] = (),
) -> str:
    """Return the result in a few sentences.

    Args:
        parts: what was measured, by framework.
        error: why nothing could be.
        pair: how two frameworks compare.
        absent: a line for each framework that is not installed.
    """
    if not parts:
        return f"Nothing was measured: {error['message']}" if error else "Nothing was measured"
    if pair and pair["problem"]:
        return f"torch and JAX do not compute the same: {pair['problem']}."
    sentences = [_answer(part) for part in parts]
    if pair and pair["rows"]:
        sentences.append(_pair_answer(pair["rows"][0]))
    return " ".join([*sentences, *(f"Left out: {line}." for line in absent)])


def _pair_answer(row: PairRow) -> str:
    """Return in a sentence how JAX compares with torch."""
    times = "the time of torch's"
    of = f"JAX's {row['jax_way']} ({row['phase']}) takes {ratio_words(row['ratio'])} × {times}"
    return f"{of}: {row['verdict']}."


def _answer(part: Framework) -> str:
    """Return the result of one framework in a sentence or two."""
    checked = [
        r for r in part["rows"] if r["equivalence"] is not None and r["outcome"] != "unsupported"
    ]
    wrong = sorted({r["way"] for r in checked if r["outcome"] == "wrong_gradients"})
    if part["flow_problem"]:
        return f"{part['framework']}: {part['flow_problem']}."
    if wrong:
        return f"{part['framework']}: wrong gradients by {', '.join(wrong)}."
    timed = [r for r in part["rows"] if r["ratio"]]
    if not checked:
        return f"{part['framework']}: the flow of gradients was found out, and nothing timed."
    right = len({(r["kind"], r["way"]) for r in checked if r["outcome"] == "ok"})
    if not right:
        return f"{part['framework']}: nothing was timed."
    sentence = f"{part['framework']}: {right} ways give the right gradients"
    slower = [r for r in timed if r["verdict"] == "slower" and r["way"] == "separate_retained"]
    if slower:
        row = slower[0]
        sentence += (
            f"; a backward pass for each loss takes {_ratio(row)} times as long as one of the sum"
        )
    faster = [r for r in timed if r["verdict"] == "faster"]
    if faster:
        best = min(faster, key=lambda row: row["ratio"]["estimate"] if row["ratio"] else 1.0)
        sentence += f"; {best['way']} is faster than {best['baseline']} ({_ratio(best)} ×)"
    return f"{sentence}."


def _ratio(row: Row) -> str:
    """Return a row's ratio with its interval."""
    assert row["ratio"] is not None
    return ratio_words(row["ratio"])


def ratio_words(ratio: Estimate) -> str:
    """Return a ratio with its interval."""
    if ratio["low"] is None or ratio["high"] is None:
        return f"{ratio['estimate']:.2f}"
    return f"{ratio['estimate']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
