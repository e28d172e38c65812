"""Faults in what a user's own network is held to: zero gradients by element, ties, layouts."""

from __future__ import annotations

from tests.mutations.fault import Fault

ZEROS = "tests/unit/harness/protocol/test_zero_elements.py"
GATE = "tests/unit/harness/worker/test_gate.py"
PROBLEMS = "tests/integration/test_problems.py"

FAULTS = (
    Fault(
        "zero_elements_taken_from_the_timed_gradient",
        "benchmarks/harness/worker/gate.py",
        'zero_elements=select_prefix(true, "zero"),',
        "zero_elements={n: g == 0.0 for n, g in gradients.items() if not np.all(g)},",
        "a gradient that is wrongly 0 excuses itself",
        (f"{GATE}::test_gradient_that_is_wrongly_zero_is_caught_whatever_is_zero_beside_it",),
    ),
    Fault(
        "zero_elements_with_a_wide_bound",
        "benchmarks/harness/protocol/zero_elements.py",
        "small = np.all([a <= limit for",
        "small = np.all([a <= 1e9 * limit for",
        "small values are taken for zeros, and nobody compares them any more",
        (f"{ZEROS}::test_bound_is_ten_roundings_of_the_networks_norm_and_wider_behind_long_sums",),
    ),
    Fault(
        "zero_elements_of_one_reference_alone",
        "benchmarks/harness/protocol/zero_elements.py",
        "small = np.all([",
        "small = np.any([",
        "what one framework computes as 0 counts, although the other has a value",
        (f"{ZEROS}::test_value_in_one_reference_is_no_zero",),
    ),
    Fault(
        "exact_zeros_taken_for_noise",
        "benchmarks/harness/protocol/zero_elements.py",
        "(np.max(arrays, axis=0) > 0.0)",
        "(np.max(arrays, axis=0) >= 0.0)",
        "what a dead ReLU leaves is held to the bound of noise",
        (f"{ZEROS}::test_exact_zeros_alone_are_compared_like_values",),
    ),
    Fault(
        "update_of_noise_compared_in_float32",
        "benchmarks/harness/worker/gate.py",
        'mask = zero.get(name) if rules["dtype"] == "float32" else None',
        "mask = None",
        "Adam makes whole steps of noise, and a right attention is called wrong",
        (f"{GATE}::test_update_of_a_zero_gradients_element_is_compared_in_float64_only",),
    ),
    Fault(
        "declared_zero_believed",
        "benchmarks/harness/launches/zero_gradients.py",
        "if problem := wrongly_declared(spec, variant, size, reference):",
        "if (problem := wrongly_declared(spec, variant, size, reference)) is NotImplemented:",
        "a parameter that is declared zero and has a gradient goes through",
        (f"{PROBLEMS}::test_gradient_that_is_declared_zero_and_is_not_stops_the_group",),
    ),
)
