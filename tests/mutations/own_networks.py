"""Faults in what a user's own network is held to: zero gradients by element, ties, layouts."""

from __future__ import annotations

from tests.mutations.fault import Fault

ZEROS = "tests/unit/harness/protocol/test_zero_elements.py"
GATE = "tests/unit/harness/worker/test_gate.py"
PROBLEMS = "tests/integration/test_problems.py"
OWN = "tests/integration/test_own_networks.py"
SPECS = "tests/integration/test_external_spec.py"
LAYOUTS = "tests/unit/test_layouts.py"

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
    Fault(
        "random_network_not_looked_for",
        "benchmarks/harness/worker/base.py",
        "        parts.check_repeatable(self._builder_name(), self.problem.random_part())\n",
        "",
        "a network with Dropout is called wrong, and nobody says that it is random",
        (f"{OWN}::test_random_network_is_unsupported_and_the_module_that_draws_is_named",),
        narrow="functional or host",
    ),
    Fault(
        "dropout_that_is_switched_off_called_random",
        "impl_jax/probing.py",
        "if not _same(value, other):",
        "if key:",
        "whatever holds a generator is refused, though it never draws",
        (f"{OWN}::test_dropout_that_is_switched_off_is_no_random_network",),
        narrow="nnx_deterministic",
    ),
    Fault(
        "tied_parameter_learns_from_one_place",
        "impl_torch/problem.py",
        "            named = {**parameters, **self._tied_among(parameters)}\n",
        "            named = {**parameters}\n",
        "a tied parameter is replaced in the network that it is named after, and in no other",
        (f"{OWN}::test_every_strategy_gives_a_tied_parameter_the_gradients_of_all_its_places",),
        narrow="torch",
    ),
    Fault(
        "gradients_of_a_tied_parameter_overwritten",
        "impl_jax/strategies.py",
        "            grads = _add(grads, own)\n",
        "            grads |= own\n",
        "networks are walked one by one, and the last one's gradient of a tied parameter counts",
        (f"{OWN}::test_every_strategy_gives_a_tied_parameter_the_gradients_of_all_its_places",),
        narrow="jax-net2",
    ),
    Fault(
        "input_in_whatever_precision_it_was_drawn",
        "impl_torch/layout.py",
        'torch.tensor(array, dtype=dtype if array.dtype.kind == "f" else None)',
        "torch.tensor(array)",
        "float64 data makes a float32 network compute, or fail, in float64",
        (f"{OWN}::test_inputs_come_in_the_precision_of_the_session_and_labels_stay_whole",),
        narrow="torch",
    ),
    Fault(
        "precision_of_inputs_not_checked",
        "benchmarks/harness/worker/base.py",
        "self._builder_name(), opened.input_dtypes(), inputs, self.session.precision",
        "self._builder_name(), opened.input_dtypes(), {}, self.session.precision",
        "an implementation hands data on in another precision than it is recorded under",
        (f"{OWN}::test_input_of_another_precision_ends_the_opening",),
    ),
    Fault(
        "tokens_turned_like_an_image",
        "impl_jax/layout.py",
        'return axes > 2 if layout is None else layout == "image"',
        "return axes > 2",
        "[batch, tokens, width] reaches JAX as [batch, width, tokens]",
        (f"{LAYOUTS}::test_jax_turns_an_image_and_nothing_else_and_turns_outputs_back",),
    ),
    Fault(
        "guessed_layout_kept_quiet",
        "benchmarks/scenarios/external/guesses.py",
        "    if not guessed:\n",
        "    if guessed:\n",
        "data is turned for JAX by a guess, and nobody is told",
        (f"{SPECS}::test_layout_that_nobody_declares_is_said_with_what_to_write",),
    ),
    Fault(
        "layer_frozen_by_its_parameters_is_not_frozen",
        "benchmarks/scenarios/external/loading.py",
        "    return frozen.with_resolved_names(complete)\n",
        "    return complete\n",
        "a freeze means one thing to list and another to the checks, by how it is written",
        (f"{SPECS}::test_what_is_frozen_is_the_same_by_whichever_names",),
    ),
    Fault(
        "step_of_noise_of_any_length",
        "benchmarks/harness/worker/gate.py",
        "if not np.all(np.abs(after - right) <= longest",
        "if np.any(np.abs(after - right) > np.inf",
        "an optimizer that makes a weight NaN or huge passes where the gradient is 0",
        (f"{GATE}::test_update_of_a_zero_gradients_element_moves_by_a_step_of_noise_at_most",),
    ),
    Fault(
        "step_of_noise_of_sgd_held_to_adam_s",
        "benchmarks/harness/worker/gate.py",
        'if rules["optimizer"] != "sgd":',
        'if rules["optimizer"]:',
        "plain SGD, which keeps no gradient, may move what has none by a whole step",
        (f"{GATE}::test_update_of_a_zero_gradients_element_moves_by_a_step_of_noise_at_most",),
    ),
    Fault(
        "tied_weights_frozen_by_a_cut",
        "impl_torch/recipe_passes.py",
        "if name not in problem.trainable and not other.startswith(front):",
        "if name not in problem.trainable and not other:",
        "a right network is called wrong, as a cut in front of tied weights freezes them not",
        (
            "tests/unit/test_tied_front.py"
            "::test_weights_that_are_tied_over_the_cut_cannot_be_frozen_by_it",
        ),
        narrow="detach",
    ),
)
