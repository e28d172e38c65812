"""Faults of the networks that are no plain series: a fork, a rounding on the way, a teacher."""

from __future__ import annotations

from tests.mutations.fault import EQUIVALENCE, TRAINING, Fault

BRANCHES = "benchmarks/test_branches.py"
FLOW = f"{EQUIVALENCE}::test_flow_is_as_declared_per_loss"

FAULTS = (
    Fault(
        "weight_of_a_loss_forgotten_in_one_framework",
        "impl_jax/branches.py",
        "return 0.5 * jnp.mean(optax.squared_error(output[1]",
        "return jnp.mean(optax.squared_error(output[1]",
        "two heads are weighted in one framework and not in the other",
        (f"{EQUIVALENCE}::test_float64_references_agree_between_frameworks",),
        scenario="shared_backbone",
        narrow="plain",
    ),
    Fault(
        "second_head_not_permuted",
        "impl_jax/branches.py",
        'flattened = {"classes": image, "values": image}',
        'flattened = {"classes": image}',
        "of two layers behind a flattened image one is loaded as if it stood behind none",
        (f"{EQUIVALENCE}::test_float64_references_agree_between_frameworks",),
        scenario="shared_backbone",
        narrow="plain",
    ),
    Fault(
        "straight_through_without_its_stop",
        "impl_torch/branches.py",
        'return z + stop("link", code - z)',
        "return z + (code - z)",
        "the detach in z + (q - z).detach() is forgotten: the encoder learns nothing",
        (FLOW,),
        scenario="straight_through",
        narrow="torch",
    ),
    Fault(
        "commitment_trains_the_codes_too",
        "impl_jax/branches.py",
        'optax.squared_error(z, stop("commitment", code))',
        "optax.squared_error(z, code)",
        "the stop of one of the two halves of the loss is forgotten",
        (FLOW,),
        scenario="straight_through",
        narrow="jax",
    ),
    Fault(
        "ties_between_codes_overlooked",
        "impl_torch/probing.py",
        "nn.MaxPool2d, Nearest)",
        "nn.MaxPool2d)",
        "a value between two codes goes to either by rounding, and two right gradients differ",
        ("tests/unit/test_ties.py::test_two_codes_that_are_equally_near_are_a_kink",),
    ),
    Fault(
        "running_variance_biased_as_in_flax",
        "impl_jax/branches.py",
        " * (values / (values - 1))",
        "",
        "a teacher that normalises by running statistics computes something else in JAX",
        (f"{TRAINING}::test_training_agrees_and_does_what_its_row_says",),
        narrow="momentum_teacher and average",
    ),
    Fault(
        "average_by_interpolation",
        "impl_torch/averaging.py",
        "problem.parameters[own].mul_(1.0 - share).add_(share * led)",
        "problem.parameters[own].lerp_(led, 1.0 - share)",
        "the two shares of an average are mistaken for each other",
        (f"{BRANCHES}::test_teacher_moves_by_the_average_alone_bit_for_bit",),
        narrow="torch",
    ),
    Fault(
        "buffers_never_copied",
        "impl_jax/averaging.py",
        "    if buffers and any(name",
        "    if not buffers and any(name",
        "the average is over parameters alone, and BatchNorm's statistics stay behind",
        (f"{BRANCHES}::test_teacher_moves_by_the_average_alone_bit_for_bit",),
        narrow="jax",
    ),
    Fault(
        "slope_demanded_of_an_estimate",
        "benchmarks/scenarios/branches.py",
        '            estimated={"loss_reconstruction": ("encoder",)},\n',
        "",
        "a gradient that is no slope by design is held to central differences",
        (f"{EQUIVALENCE}::test_reference_is_confirmed_by_central_differences",),
        scenario="straight_through",
        narrow="torch",
    ),
)
