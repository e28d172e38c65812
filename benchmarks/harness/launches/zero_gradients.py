"""Mark, in a problem's float64 references, the elements whose true gradient is 0."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.harness.protocol import equivalence, zero_elements
from benchmarks.harness.protocol.arrays import select_prefix, write_arrays
from benchmarks.scenarios import Scenario

Arrays = Mapping[str, Any]  # ``gradient/<parameter>`` and more → array


def find(spec: Scenario, variant: str, size: str, *references: Arrays) -> zero_elements.Masks:
    """Return parameter → the elements whose true gradient is 0, as these references show them.

    Args:
        spec, variant, size: the problem.
        references: of each framework, parameter → float64 gradient.
    """
    networks = list(spec.variants[variant].networks)
    long_sums = equivalence.long_sums(spec.kink_margin(variant, size))
    return zero_elements.find(references, networks, long_sums=long_sums)


def wrongly_declared(spec: Scenario, variant: str, size: str, reference: Arrays) -> str | None:
    """Return a sentence about a parameter that the spec declares zero and that is not, or None.

    Args:
        spec, variant, size: the problem.
        reference: parameter → float64 gradient.
    """
    networks = list(spec.variants[variant].networks)
    long_sums = equivalence.long_sums(spec.kink_margin(variant, size))
    problem = zero_elements.wrongly_declared(
        reference, spec.zero_gradient, networks, long_sums=long_sums
    )
    return f"{spec.file.name}: {spec.name}: {problem}" if problem and spec.file else problem


def mark(
    spec: Scenario, variant: str, size: str, references: Mapping[str, dict[str, Any]]
) -> str | None:
    """Add ``zero/<parameter>``, a mask of zero elements, to the files of all these references.

    Args:
        spec, variant, size: the problem.
        references: path of each framework's file → its arrays.

    Returns:
        A sentence about a parameter that is declared zero and is not, instead; None if all is well.
    """
    gradients = [select_prefix(arrays, "gradient") for arrays in references.values()]
    for reference in gradients:
        if problem := wrongly_declared(spec, variant, size, reference):
            return problem
    masks = find(spec, variant, size, *gradients)
    for path, arrays in references.items():
        if masks or select_prefix(arrays, "zero"):
            rest = {name: a for name, a in arrays.items() if not name.startswith("zero/")}
            write_arrays(path, rest | {f"zero/{name}": mask for name, mask in masks.items()})
    return None
