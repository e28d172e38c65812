"""Faults of the transformers, and of what they need: tables, tied tensors, adapters."""

from __future__ import annotations

from tests.mutations.fault import EQUIVALENCE, Fault

TRANSFORMER = "benchmarks/test_transformer.py"
OUTPUTS = f"{TRANSFORMER}::test_every_output_is_what_numpy_computes"

FAULTS = (
    Fault(
        "layer_norm_with_the_epsilon_of_flax",
        "impl_jax/transformer.py",
        "epsilon=1e-5, use_fast_variance",
        "epsilon=1e-6, use_fast_variance",
        "a layer's default differs between the frameworks",
        (OUTPUTS,),
        narrow="jax",
    ),
    Fault(
        "gelu_approximated_by_a_tanh",
        "impl_jax/transformer.py",
        "self.expand(self.norm2(x)), approximate=False)",
        "self.expand(self.norm2(x)), approximate=True)",
        "jax.nn.gelu is taken for the exact one that torch has by default",
        (OUTPUTS,),
        narrow="jax",
    ),
    Fault(
        "mask_lets_the_next_token_through",
        "impl_torch/transformer.py",
        "device=x.device).triu(1)",
        "device=x.device).triu(2)",
        "a token attends to the one that it is to predict",
        (OUTPUTS,),
        narrow="torch",
    ),
    Fault(
        "table_rounded_to_float32",
        "impl_jax/transformer.py",
        "        self.dtype: Any = None",
        "        self.dtype: Any = jnp.float32",
        "nnx.Embed keeps the dtype that it was built with, also in a float64 reference",
        (f"{EQUIVALENCE}::test_float64_references_agree_between_frameworks",),
        scenario="early_exit",
        narrow="n2",
    ),
    Fault(
        "scale_of_the_adapters_forgotten",
        "impl_torch/transformer.py",
        "return SCALE * self.up(self.down(x))",
        "return self.up(self.down(x))",
        "alpha / rank is left out in one framework",
        (OUTPUTS,),
        narrow="torch",
    ),
    Fault(
        "table_of_an_embedding_transposed",
        "impl_jax/layout.py",
        "    axes = tuple(range(array.ndim))\n    if array.ndim > 1 and form != TABLE:\n"
        "        axes = (*range(2",
        "    axes = tuple(range(array.ndim))\n    if array.ndim > 1:\n        axes = (*range(2",
        "a table is loaded as a Linear layer's weight is",
        (
            "tests/unit/test_layouts.py::test_jax_turns_an_image_and_nothing_else_and_turns_outputs_back",
        ),
    ),
    Fault(
        "head_given_a_copy_of_the_table",
        "impl_torch/transformer.py",
        "        head.weight = table.weight\n",
        "        head.weight.data.copy_(table.weight.data)\n",
        "a head is tied by value: two tensors, each with half of the gradient",
        (f"{EQUIVALENCE}::test_names_and_shapes_are_the_specs",),
        scenario="early_exit",
        narrow="torch and n2",
    ),
    Fault(
        "comparison_with_nothing_goes_on",
        "benchmarks/harness/session/native_outputs.py",
        "    if failing or not (native.autosave or native.save):",
        "    if failing:",
        "minutes are measured for a comparison that cannot come",
        (
            "tests/unit/harness/session/test_native_outputs.py"
            "::test_comparison_without_a_stored_run_says_what_to_do",
        ),
    ),
)
