"""What the operations of XLA's programs read and write is what one counts by hand."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.helpers.lazy_module import LazyModule

jax: Any = LazyModule("jax")
jnp: Any = LazyModule("jax.numpy")
optax: Any = LazyModule("optax")
compiling: Any = LazyModule("impl_jax.compiling")
gemms: Any = LazyModule("impl_jax.gemms")
operations: Any = LazyModule("impl_jax.operations")
operation_arguments: Any = LazyModule("impl_jax.operation_arguments")

TEXT = """\
HloModule jit_f, is_scheduled=true

%fused_computation (param_0: f32[10,4], param_1: s32[]) -> f32[1,4] {
  %param_0 = f32[10,4]{1,0} parameter(0)
  %param_1 = s32[] parameter(1)
  %constant.1 = s32[] constant(0)
  %row = f32[1,4]{1,0} dynamic-slice(%param_0, %param_1, %constant.1), dynamic_slice_sizes={1,4}
  ROOT %exponential.1 = f32[1,4]{1,0} exponential(%row), metadata={op_name="jit(f)/exp"}
}

%fused_computation.1 (param_0.1: f32[10,4], param_1.1: f32[1,4], param_2: s32[]) -> f32[10,4] {
  %param_0.1 = f32[10,4]{1,0} parameter(0)
  %param_1.1 = f32[1,4]{1,0} parameter(1)
  %param_2 = s32[] parameter(2)
  %constant.2 = s32[] constant(0)
  ROOT %patch = f32[10,4]{1,0} dynamic-update-slice(%param_0.1, %param_1.1, %param_2, %constant.2)
}

%body (state: (s32[], f32[10,4])) -> (s32[], f32[10,4]) {
  %state = (s32[], f32[10,4]{1,0}) parameter(0)
  %i = s32[] get-tuple-element(%state), index=0
  %value = f32[10,4]{1,0} get-tuple-element(%state), index=1
  %fusion = f32[1,4]{1,0} fusion(%value, %i), kind=kLoop, calls=%fused_computation
  %fusion.1 = f32[10,4]{1,0} fusion(%value, %fusion, %i), kind=kLoop, calls=%fused_computation.1
  ROOT %next = (s32[], f32[10,4]{1,0}) tuple(%i, /*index=1*/%fusion.1)
}

%condition (state.1: (s32[], f32[10,4])) -> pred[] {
  %state.1 = (s32[], f32[10,4]{1,0}) parameter(0)
  ROOT %yes = pred[] constant(true)
}

ENTRY %main (start: (s32[], f32[10,4]), w: f32[3,4]) -> f32[10,3] {
  %start = (s32[], f32[10,4]{1,0}) parameter(0)
  %w = f32[3,4]{0,1} parameter(1)
  %loop = (s32[], f32[10,4]{1,0}) while(%start), condition=%condition, body=%body, \
backend_config={"known_trip_count":{"n":"10"}}
  %end = f32[10,4]{1,0} get-tuple-element(%loop), index=1
  ROOT %dot.1 = f32[10,3]{1,0} dot(%end, %w), lhs_contracting_dims={1}, rhs_contracting_dims={1}
}
"""


def moved(one: dict[str, Any]) -> int:
    """Return the bytes that an operation reads and writes."""
    return int(one["read"] + one["written"])


def counted(text: str) -> dict[str, dict[str, Any]]:
    """Return the operations of a program by their names."""
    return {one["name"]: one for one in operations.Module(text).operations()}


def compiled(function: Any, *arguments: Any, donate: tuple[int, ...] = ()) -> str:
    """Return the text of a compiled function."""
    lowered = jax.jit(function, donate_argnums=donate).lower(*arguments)
    return str(lowered.compile().as_text())


def total(text: str) -> int:
    """Return the bytes that a program moves."""
    return sum(one["count"] * moved(one) for one in operations.Module(text).operations())


def test_a_loop_counts_its_body_as_often_as_it_runs_and_rows_as_what_they_are() -> None:
    """Read and write a row of 4 numbers, and its place, 10 times; then take 10 × 4 by 4 × 3."""
    found = counted(TEXT)
    picked, patched = found["fusion of exponential 1×4"], found["fusion of moves 10×4"]
    assert (picked["count"], moved(picked), picked["slow"]) == (10, 4 * (4 + 4 + 1), 4)
    assert (patched["count"], moved(patched), patched["slow"]) == (10, 4 * (4 + 4 + 1), 0)
    product = found["dot 10×3"]
    assert (product["count"], product["flops"]) == (1, 2 * 10 * 3 * 4)
    assert moved(product) == 4 * (40 + 12 + 30)
    assert len(found) == 3


def test_a_product_runs_alone_as_its_operands_lie_in_memory() -> None:
    """The second operand lies column by column: as 4 × 3, whose first dimension is summed over."""
    (work,) = json.loads(json.dumps(counted(TEXT)["dot 10×3"]["work"]))
    left, right = jnp.arange(40.0).reshape(10, 4), jnp.arange(12.0).reshape(3, 4)
    alone = operation_arguments.product_of(work)(left, right.T)
    assert jnp.array_equal(alone, left @ right.T)
    assert [operation_arguments.order_of(array[2]) for array in work["arrays"]] == [
        [0, 1],
        [1, 0],
        [0, 1],
    ]


def test_backward_pass_of_a_layer_moves_its_input_gradient_and_results() -> None:
    """Take 64 rows of 32 features into 16: xᵀg, and the sum of g over the rows."""
    value, gradient = jnp.ones((64, 32)), jnp.ones((64, 16))
    text = compiled(lambda x, g: (x.T @ g, g.sum(0)), value, gradient)
    found = operations.Module(text).operations()
    product = next(one for one in found if one["work"])
    assert product["flops"] == 2 * 64 * 32 * 16
    assert moved(product) == 4 * (64 * 32 + 64 * 16 + 32 * 16)
    least = moved(product) + 4 * (64 * 16 + 16)
    # XLA may sum in two steps, whose first leaves two rows to the second
    assert least <= total(text) <= least + 4 * (2 * 2 * 16 + 2)


def test_what_is_laid_out_anew_is_told_apart() -> None:
    text = compiled(lambda x: x.T + 1.0, jnp.ones((64, 32)))
    assert [one["turned"] for one in operations.Module(text).operations()] == [4 * 64 * 32]
    text = compiled(lambda x: x[None] + 1.0, jnp.ones((64, 32)))
    assert [one["turned"] for one in operations.Module(text).operations()] == [0]


def test_a_step_of_adamw_reads_four_arrays_and_writes_three() -> None:
    """Read weight, gradient and two moments; write all but the gradient. Beside it a few numbers.

    XLA may compute a moment both where it is returned and where the update needs it, so that the
    fusion of the update reads the old moments and the gradient once more.
    """
    weight = jnp.ones((512, 64))
    optimizer = optax.adamw(1e-3)

    def step(weight: Any, state: Any, gradient: Any) -> Any:
        updates, state = optimizer.update(gradient, state, weight)
        return optax.apply_updates(weight, updates), state

    text = compiled(step, weight, optimizer.init(weight), weight, donate=(0, 1))
    assert 7 <= total(text) / weight.nbytes < 11.01
    roots = sum(one["slow"] * one["count"] for one in operations.Module(text).operations())
    assert weight.size <= roots < 1.01 * weight.size + 16


def test_a_convolution_leaves_out_what_falls_into_the_padding() -> None:
    """Slide 3 kernel places over 4 with one of padding: 2 + 3 + 3 + 2 of 12 meet the input."""
    value, kernel = jnp.ones((1, 4, 4, 2)), jnp.ones((3, 3, 2, 5))

    def convolve(value: Any, kernel: Any) -> Any:
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            value, kernel, (1, 1), "SAME", dimension_numbers=numbers
        )

    found = [
        one
        for one in operations.Module(compiled(convolve, value, kernel)).operations()
        if one["work"]
    ]
    assert [one["flops"] for one in found] == [2 * 10 * 10 * 2 * 5]
    (work,) = json.loads(json.dumps(found[0]["work"]))
    assert jnp.array_equal(
        operation_arguments.convolution_of(work)(value, kernel), convolve(value, kernel)
    )


GROUPS = """\
HloModule jit_f, is_scheduled=true

ENTRY %main (x: f32[4,8,8,2], k: f32[3,3,2,6]) -> f32[2,6,6,6] {
  %x = f32[4,8,8,2]{3,2,1,0} parameter(0)
  %k = f32[3,3,2,6]{3,2,1,0} parameter(1)
  ROOT %convolution.1 = f32[2,6,6,6]{3,2,1,0} convolution(%x, %k), window={size=3x3}, \
dim_labels=b01f_01io->b01f, batch_group_count=2
}
"""


def test_a_convolution_in_groups_of_the_batch_costs_what_its_results_do() -> None:
    """Sum 3 × 3 × 2 products for each of 2 × 6 × 6 × 6 results: the groups are in these numbers.

    A CPU's XLA writes the groups as a dimension of the window; its own count must be the same.
    """
    (found,) = operations.Module(GROUPS).operations()
    assert found["flops"] == 2 * (2 * 6 * 6 * 6) * (3 * 3 * 2)

    def convolve(value: Any, kernel: Any) -> Any:
        numbers = ("NHWC", "HWIO", "NHWC")
        return jax.lax.conv_general_dilated(
            value, kernel, (1, 1), "VALID", dimension_numbers=numbers, batch_group_count=2
        )

    lowered = jax.jit(convolve).lower(jnp.ones((4, 8, 8, 2)), jnp.ones((3, 3, 2, 6)))
    assert lowered.compile().cost_analysis()["flops"] == found["flops"]


@pytest.mark.parametrize(
    ("size", "stride", "pad", "dilate", "kernel", "out", "taps"),
    [
        (4, "1", "0_0", "1", 3, 2, 6),
        (4, "2", "1_1", "1", 2, 3, 4),  # places -1 0, 1 2, 3 4
        (3, "1", "0_0", "2", 3, 3, 5),  # the input at 0, 2, 4: of 0 1 2, 1 2 3, 2 3 4
    ],
)
def test_places_of_a_window_that_meet_the_input(
    size: int, stride: str, pad: str, dilate: str, kernel: int, out: int, taps: int
) -> None:
    text = f"window={{size={kernel} stride={stride} pad={pad} lhs_dilate={dilate}}}"
    assert operation_arguments.Window.of(text).taps(0, size, kernel, out) == taps


def test_calls_count_what_is_handed_over_and_small_programs_are_called_for_less() -> None:
    counts = {one["dispatch"]: one["count"] for one in operations.calls(3, 2, cheap=False)}
    assert counts == {"call": 1, "argument": 3, "result": 2}
    assert operations.calls(1, 1, cheap=True)[0]["dispatch"] == "cheap call"


@pytest.mark.parametrize("kind", ["max", "sum"])
def test_a_pool_runs_alone_with_its_window(kind: str) -> None:
    """Reduce 2 × 3 windows at strides of 2 × 1, whose bytes do not tell how long that takes."""
    value = jnp.arange(2.0 * 7 * 6 * 3).reshape(2, 7, 6, 3)
    reducer, start = {"max": (jax.lax.max, -jnp.inf), "sum": (jax.lax.add, 0.0)}[kind]
    window = {"window_dimensions": (1, 2, 3, 1), "window_strides": (1, 2, 1, 1)}
    padding = ((0, 0), (1, 0), (1, 1), (0, 0))

    def pool(value: Any) -> Any:
        return jax.lax.reduce_window(value, start, reducer, padding=padding, **window)

    found = operations.Module(compiled(pool, value)).operations()
    (work,) = json.loads(json.dumps([one["work"] for one in found if one["work"]]))
    assert jnp.array_equal(operation_arguments.function_of(work[0])(value), pool(value))
    assert operation_arguments.operands_of(work[0]) == [([2, 7, 6, 3], "float32")]


MANY = """\
HloModule jit_f, is_scheduled=true

ENTRY %main (p: f32[8]) -> (f32[8], f32[8], f32[8], f32[8], f32[8], f32[8]) {
  %p = f32[8]{0} parameter(0)
  %c = f32[48]{0} concatenate(%p, %p, %p, %p, %p, /*index=5*/%p), dimensions={0}
  %n = f32[8]{0} negate(/*index=0*/%p)
  ROOT %t = (f32[48]{0}, f32[8]{0}) tuple(%c, %n)
}
"""


def test_every_fifth_operand_is_counted_although_its_number_stands_before_it() -> None:
    found = counted(MANY)
    assert [one["read"] for one in found.values()] == [4 * 8, 4 * 8]


@pytest.mark.parametrize(("known", "products"), [(True, 1), (False, 3)])
def test_of_a_conditional_the_branch_that_runs_is_counted_where_it_is_known(
    known: bool, products: int
) -> None:
    """Multiply once where the condition holds, which `recipes.cond` sees to, else three times."""
    value, weight = jnp.ones((8, 64)), jnp.ones((64, 64))

    def choose(condition: Any, value: Any, weight: Any) -> Any:
        with jax.named_scope(operations.TRUE if known else "of_a_user"):
            return jax.lax.cond(
                condition, lambda x: x @ weight, lambda x: x @ weight @ weight @ weight, value
            )

    arguments = (jnp.asarray(True), value, weight)
    found = operations.Module(compiled(choose, *arguments)).operations()
    assert sum(one["count"] for one in found if one["work"]) == products
    traced = [jax.jit(choose).trace(*arguments).jaxpr]
    assert gemms.not_taken(traced) == (3 - products) * 2 * 8 * 64 * 64
    assert sum(one.count for one in gemms.record(traced, jax.devices("cpu")[0])) == products


@pytest.mark.parametrize("unroll", [1, 2])
def test_products_of_a_loop_are_counted_as_often_as_it_runs(unroll: int) -> None:
    """Multiply 5 times by a weight, in turns of one or two, and what is left over."""
    value, weights = jnp.ones((8, 64)), jnp.ones((5, 64, 64))

    def loop(value: Any, weights: Any) -> Any:
        return jax.lax.scan(lambda x, w: (x @ w, None), value, weights, unroll=unroll)[0]

    program = compiling.CompiledFunction(loop)
    program(value, weights)
    assert program.flops() // (2 * 8 * 64 * 64) == 5
    products = gemms.record([program.traced.jaxpr], jax.devices("cpu")[0])
    assert [one.count for one in products] == [5]
