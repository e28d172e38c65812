"""Faults of the checks: comparison of gradients, flow, references."""

from __future__ import annotations

from tests.mutations.fault import Fault

RULES = "tests/unit/harness/protocol/test_equivalence.py"
PROBLEMS = "tests/integration/test_problems.py"
FLOWS = "tests/integration/test_flows.py"
NOT_THE_SAME = f"{RULES}::test_what_is_not_the_same_is_said"
OWN_NORM = f"{RULES}::test_difference_is_relative_to_the_tensors_own_norm"
BOUNDS = f"{RULES}::test_bounds_are_those_that_the_documentation_gives"
STATES = f"{RULES}::test_each_state_of_a_gradient_is_right_in_its_own_place"

FAULTS = (
    Fault(
        "tolerance_widened_a_thousandfold",
        "benchmarks/harness/protocol/equivalence.py",
        "if not error <= allowed:",
        "if not error <= 1000 * allowed:",
        "a bound is loosened until the check is green",
        (OWN_NORM,),
    ),
    Fault(
        "references_may_differ_by_a_thousandth",
        "benchmarks/harness/protocol/equivalence.py",
        "REFERENCES_AGREE = 1e-12",
        "REFERENCES_AGREE = 1e-3",
        "two implementations that differ are both called the truth",
        (f"{PROBLEMS}::test_references_that_differ_by_more_than_rounding_stop_the_group",),
    ),
    Fault(
        "float64_held_to_float32s_bound",
        "benchmarks/harness/protocol/equivalence.py",
        "FLOAT64_TOLERANCE = 1e-11",
        "FLOAT64_TOLERANCE = 1e-5",
        "a systematic error of one in a million passes as rounding",
        (BOUNDS,),
    ),
    Fault(
        "kinks_excuse_anything",
        "benchmarks/harness/protocol/equivalence.py",
        "KINKS = 1e-2",
        "KINKS = 1.0",
        "a gradient of zeros passes wherever an activation is near its kink",
        (BOUNDS, f"{RULES}::test_bounds_are_tighter_off_the_kinks"),
    ),
    Fault(
        "only_norms_compared",
        "benchmarks/harness/protocol/equivalence.py",
        "float(np.linalg.norm(array.astype(np.float64) - reference))",
        "abs(float(np.linalg.norm(array.astype(np.float64))) - scale)",
        "gradients that point elsewhere pass if they are as long",
        (OWN_NORM,),
    ),
    Fault(
        "difference_relative_to_the_largest_tensor",
        "benchmarks/harness/protocol/equivalence.py",
        "relative(gradient, true)",
        "relative(gradient, true) * float(np.linalg.norm(true)) / 10",
        "an absolute difference is taken for a relative one",
        (OWN_NORM, NOT_THE_SAME),
    ),
    Fault(
        "missing_gradient_passes",
        "benchmarks/harness/protocol/equivalence.py",
        "    problem = next(_malformed(gradients, reference, dtype), None)\n",
        "    reference = {name: true for name, true in reference.items() if name in gradients}\n"
        "    problem = next(_malformed(gradients, reference, dtype), None)\n",
        "only what both have is compared, so a cell that returns nothing has nothing wrong",
        (NOT_THE_SAME,),
    ),
    Fault(
        "absent_gradient_taken_for_zero",
        "benchmarks/harness/protocol/equivalence.py",
        "    problem = next(_malformed(gradients, reference, dtype), None)\n",
        "    zeros = {n: np.zeros(a.shape, dtype) for n, a in reference.items()}\n"
        "    gradients = zeros | dict(gradients)\n"
        "    problem = next(_malformed(gradients, reference, dtype), None)\n",
        "None and 0 are the same, so a broken freeze passes",
        (NOT_THE_SAME,),
    ),
    Fault(
        "gradient_that_should_not_be_passes",
        "benchmarks/harness/protocol/equivalence.py",
        "    if extra:\n",
        "    if extra and missing:\n",
        "only the gradients that are asked for are looked at",
        (NOT_THE_SAME,),
    ),
    Fault(
        "half_precision_passes",
        "benchmarks/harness/protocol/equivalence.py",
        "elif gradients[name].dtype != np.dtype(dtype):",
        "elif gradients[name].dtype.kind != np.dtype(dtype).kind:",
        "float32 is compared where float64 was meant",
        (NOT_THE_SAME,),
    ),
    Fault(
        "not_a_number_passes",
        "benchmarks/harness/protocol/equivalence.py",
        "elif not np.all(np.isfinite(gradients[name])):",
        "elif np.all(np.isnan(gradients[name])):",
        "NaN compares false with every bound",
        (NOT_THE_SAME,),
    ),
    Fault(
        "reference_that_is_not_finite_passes",
        "benchmarks/harness/protocol/equivalence.py",
        "elif not np.all(np.isfinite(reference[name])):",
        "elif np.all(np.isnan(reference[name])):",
        "a truth of infinities is held to be one",
        (f"{RULES}::test_reference_that_is_not_finite_passes_nothing",),
    ),
    Fault(
        "zero_gradient_may_be_anything",
        "benchmarks/harness/protocol/equivalence.py",
        "    if size <= limit:\n",
        "    if size >= 0:\n",
        "a tensor that is declared zero is not looked at",
        (f"{RULES}::test_zero_gradient_is_held_to_its_networks_norm",),
    ),
    Fault(
        "zero_gradient_held_to_the_wide_bound",
        "benchmarks/harness/protocol/equivalence.py",
        "times = ZERO_GRADIENT_LONG if long_sums else ZERO_GRADIENT",
        "times = ZERO_GRADIENT_LONG",
        "the bound of long sums everywhere",
        (f"{RULES}::test_zero_gradient_is_held_to_its_networks_norm",),
    ),
    Fault(
        "networks_mixed_up_by_their_first_letters",
        "benchmarks/harness/protocol/equivalence.py",
        'if name.startswith(f"{net}.")',
        "if name.startswith(net)",
        "net10 is taken for a part of net1",
        (f"{RULES}::test_norms_of_networks_whose_names_begin_alike_are_kept_apart",),
    ),
    Fault(
        "layers_mixed_up_by_their_first_letters",
        "benchmarks/scenarios/spec.py",
        'name == prefix or name.startswith(f"{prefix}.") for prefix in prefixes',
        "name == prefix or name.startswith(prefix) for prefix in prefixes",
        "what belongs to net10 is frozen or reached with net1",
        (STATES,),
    ),
    Fault(
        "zero_or_absent_is_all_the_same_to_the_flow",
        "benchmarks/harness/protocol/flow.py",
        "return (BLOCKED[framework],)",
        'return ("absent", "zero")',
        "a gradient of zeros passes where there must be none",
        (STATES,),
    ),
    Fault(
        "value_passes_where_nothing_flows",
        "benchmarks/harness/protocol/flow.py",
        "    if not matches(name, chosen.flow[loss]):\n",
        "    if not chosen.flow[loss]:\n",
        "a loss that reaches too far is not noticed",
        (STATES,),
    ),
    Fault(
        "frozen_may_have_a_gradient",
        "benchmarks/harness/protocol/flow.py",
        '        return ("absent",)\n',
        '        return ("absent", "value")\n',
        "what is frozen has a gradient and nobody minds",
        (STATES,),
    ),
    Fault(
        "flow_of_ours_taken_for_proven",
        "benchmarks/harness/launches/float64_references.py",
        "        return framework not in self.flows\n",
        "        return False\n",
        "only a stranger's scenarios are held to what they declare",
        (f"{FLOWS}::test_loss_of_ours_that_reaches_less_than_declared_gets_no_times",),
    ),
    Fault(
        "network_as_weak_as_its_weakest_parameter",
        "benchmarks/harness/protocol/flow.py",
        "return max(own, key=",
        "return min(own, key=",
        "a network that a loss changes is shown as one that it leaves alone",
        (f"{FLOWS}::test_network_is_as_strong_as_the_strongest_of_its_parameters",),
    ),
    Fault(
        "tiny_value_taken_for_zero",
        "benchmarks/harness/protocol/equivalence.py",
        'return "value" if np.any(array) else "zero"',
        'return "value" if np.any(np.abs(array) > 1e-12) else "zero"',
        "almost 0 is taken for exactly 0",
        (f"{RULES}::test_absent_zero_and_value_are_three_things",),
    ),
    Fault(
        "disagreement_of_the_references_ignored",
        "benchmarks/harness/launches/float64_references.py",
        "        if problem:\n            raise ReferencesDisagree",
        "        if problem is NotImplemented:\n            raise ReferencesDisagree",
        "whichever framework ran first is the truth",
        (f"{PROBLEMS}::test_references_that_differ_by_more_than_rounding_stop_the_group",),
    ),
    Fault(
        "one_reference_for_both",
        "benchmarks/harness/launches/float64_references.py",
        "paths = {framework: self._paths[framework, kind, step] for framework in sound}",
        "paths = {framework: self._paths[sound[0], kind, step] for framework in sound}",
        "a framework is held to the other's reference, and agrees with itself",
        (f"{PROBLEMS}::test_references_that_differ_by_more_than_rounding_stop_the_group",),
    ),
    Fault(
        "problem_of_another_variant_kept",
        "benchmarks/harness/launches/pool.py",
        "current.problem == (scenario, variant, size)",
        "(current.spec.name, current.size) == (scenario, size)",
        "a cache is keyed by too little",
        (f"{PROBLEMS}::test_another_scenario_variant_or_size_is_another_problem",),
    ),
    Fault(
        "dead_tensors_pass",
        "benchmarks/harness/protocol/equivalence.py",
        "if name not in zero_gradient\n        and",
        "if name in zero_gradient\n        and",
        "a tensor behind a dead ReLU proves nothing, and is counted as proven",
        (f"{RULES}::test_dead_tensor_is_named_unless_declared_zero",),
    ),
)
