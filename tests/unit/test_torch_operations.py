"""What torch's operations read and write is what one counts by hand."""

from __future__ import annotations

from typing import Any

import pytest

from tests.helpers.lazy_module import LazyModule

torch: Any = LazyModule("torch")
calibration: Any = LazyModule("impl_torch.calibration")
gemms: Any = LazyModule("impl_torch.gemms")
operations: Any = LazyModule("impl_torch.operations")
runtime: Any = LazyModule("impl_torch.runtime")


def moved(one: dict[str, Any]) -> int:
    """Return the bytes that an operation reads and writes."""
    return int(one["read"] + one["written"])


def counted(run: Any) -> dict[str, dict[str, Any]]:
    """Return the operations of a call that move bytes, by the first word of their names."""
    with operations.Watch() as watch:
        run()
    return {one["name"].split()[0]: one for one in watch.operations() if moved(one)}


def total(run: Any) -> int:
    """Return the bytes that a call moves."""
    with operations.Watch() as watch:
        run()
    return sum(one["count"] * moved(one) for one in watch.operations())


def test_backward_pass_of_a_layer_reads_its_input_and_writes_its_gradients() -> None:
    """Take 5 rows of 3 features into 2: gᵀx is 2 × 5 × 3, and the bias sums over the rows."""
    layer, value, gradient = torch.nn.Linear(3, 2), torch.ones(5, 3), torch.ones(5, 2)
    out = layer(value)
    found = counted(lambda: out.backward(gradient))
    assert moved(found["mm"]) == 4 * (10 + 15 + 6)
    assert found["mm"]["flops"] == 2 * 2 * 5 * 3
    assert moved(found["sum"]) == 4 * (10 + 2)
    assert {one["dispatch"] for one in found.values()} == {"backward"}
    assert set(found) == {
        "mm",
        "sum",
    }  # what only makes a view, or hands a tensor on, moves nothing


def test_every_part_of_a_step_is_told_apart_and_passes_are_counted() -> None:
    layer = torch.nn.Linear(3, 2)
    stepper = torch.optim.SGD(layer.parameters(), lr=0.1)
    with operations.Watch() as watch:
        layer(torch.ones(5, 3)).sum().backward(retain_graph=True)
        layer(torch.ones(5, 3)).sum().backward()
        stepper.step()
    counts: dict[str, int] = {}
    for one in watch.operations():
        counts[one["dispatch"]] = counts.get(one["dispatch"], 0) + one["count"]
    assert counts["pass"] == 2
    assert min(counts.values()) > 0
    assert set(counts) == {"forward", "backward", "update", "pass"}


def parameter() -> Any:
    """Return a parameter of 10 numbers with a gradient."""
    made = torch.nn.Parameter(torch.ones(10))
    made.grad = torch.ones(10)
    return made


def test_a_step_of_adamw_counts_what_each_of_its_operations_overwrites() -> None:
    """Count numbers of 4 bytes: decay 2, first moment 3, second 2 + 3, root 2 + 2 + 2, update 4."""
    stepper = torch.optim.AdamW([parameter()], foreach=False)
    stepper.step()  # makes the state
    assert total(stepper.step) == 4 * (10 * (2 + 3 + 2 + 3 + 2 + 2 + 2 + 4) + 2)


def test_a_fused_step_of_adamw_reads_and_writes_each_array_once() -> None:
    """Read weight, gradient and two moments; write all but the gradient. And the step."""
    stepper = torch.optim.AdamW([parameter()], fused=True)
    stepper.step()
    assert moved(counted(stepper.step)["_fused_adamw_"]) == 4 * (10 * 7 + 1)


def test_a_convolution_reads_only_what_the_gradients_asked_for_need() -> None:
    """Take 2 channels of 4 × 4 into 3 of 2 × 2 by kernels of 3 × 3."""
    layer, value = torch.nn.Conv2d(2, 3, 3), torch.ones(1, 2, 4, 4)
    forward = counted(lambda: layer(value))["convolution"]
    assert moved(forward) == 4 * (32 + 54 + 3 + 12)
    assert forward["flops"] == 2 * 12 * 2 * 9
    out = layer(value)
    back = counted(lambda: out.backward(torch.ones(1, 3, 2, 2)))["convolution_backward"]
    assert moved(back) == 4 * (12 + 32 + 54 + 3)  # no weight: nothing asks for that of the input
    for frozen in layer.parameters():
        frozen.requires_grad_(False)
    out = layer(value.requires_grad_())
    back = counted(lambda: out.backward(torch.ones(1, 3, 2, 2)))["convolution_backward"]
    assert moved(back) == 4 * (12 + 54 + 32)  # no input: nothing asks for that of the weight


@pytest.mark.parametrize(
    ("run", "elements"),
    [
        (lambda x: x.t(), 0),
        (lambda x: torch.empty_like(x), 0),
        (lambda x: torch.zeros_like(x), 12),  # written, not read
        (lambda x: x.zero_(), 12),
        (lambda x: x.copy_(torch.ones(4)), 4 + 4 + 12),  # the four are made, then read
        (lambda x: x.add_(1), 24),
        (lambda x: x * x, 24),  # read once
        (lambda x: x + x[:1].expand(3, 4), 12 + 4 + 12),  # what is expanded is read once
        (lambda x: x[torch.tensor([0, 0])], 8 + 8 + 4),  # picked rows, and two int64
    ],
)
def test_bytes_are_those_that_cannot_be_avoided(run: Any, elements: int) -> None:
    with torch.no_grad():
        assert total(lambda: run(torch.ones(3, 4))) - 4 * 12 == 4 * elements


def test_an_operation_runs_alone_from_what_json_keeps_of_it() -> None:
    layer, value = torch.nn.Conv2d(2, 3, 3), torch.ones(1, 2, 4, 4)
    out = layer(value)
    with operations.Watch() as watch:
        out.backward(torch.ones(1, 3, 2, 2))
    works = [one["work"] for one in watch.operations() if one["work"]]
    assert [work["op"] for work in works] == ["aten.convolution_backward.default"]
    measured = calibration.Calibration(torch.device("cpu"), "float32")
    measured._bare_seconds = 0.0
    assert 0 < measured.measure(works[0]) < 1
    assert operations.encoded(torch.ones(2, 3).t()) == {"tensor": [[3, 2], [1, 3], "float32"]}
    assert runtime.DTYPES["float32"] is measured.dtype


@pytest.mark.parametrize("compute_backward", [False, True], ids=["forward", "backward"])
def test_kernels_of_a_cpu_are_counted_as_the_products_that_they_are(compute_backward: bool) -> None:
    """3 × 5 positions of 8 features: attention of 2 heads, and an LSTM of 4 units."""
    positions, products = 3 * 5, 4 * 3 * 2 * 5 * 5 * 4
    query = torch.randn(3, 2, 5, 4, requires_grad=True)
    lstm, value = torch.nn.LSTM(8, 4, batch_first=True), torch.randn(3, 5, 8, requires_grad=True)
    layer = 2 * positions * (8 * 16 + 4 * 16)
    # the backward pass of attention computes the scores once more
    for run, forward, backward in (
        (lambda: torch.nn.functional.scaled_dot_product_attention(query, query, query),
         products, products * 5 // 2),
        (lambda: lstm(value)[0], layer, 2 * layer),
    ):  # fmt: skip
        with operations.Watch() as watch:
            out = run()
            if compute_backward:
                out.sum().backward()
        counted = sum(one["count"] * one["flops"] for one in watch.operations())
        assert counted == forward + compute_backward * backward


def test_a_layer_of_an_encoder_in_one_kernel_is_counted_as_its_parts_are() -> None:
    layer = torch.nn.TransformerEncoderLayer(8, 2, 16, batch_first=True).eval()
    value, counts = torch.randn(3, 5, 8), []
    for whole in (True, False):
        with torch.set_grad_enabled(not whole), operations.Watch() as watch:
            layer(value)
        names = [one["name"] for one in watch.operations()]
        assert any("transformer_encoder_layer" in name for name in names) == whole
        counts.append(sum(one["count"] * one["flops"] for one in watch.operations()))
    assert counts[0] == counts[1] > 0


def test_a_product_with_what_is_expanded_is_built_anew() -> None:
    """One row that stands for 16 into 8 → 4; the gradient of the sum is expanded too."""
    layer = torch.nn.Linear(8, 4)
    with gemms.Watch() as watch:
        layer(torch.randn(1, 8).expand(16, 8)).sum().backward()
    products = watch.products()
    assert {one.flops for one in products} == {2 * 16 * 8 * 4}
    assert {tuple(one.run().shape) for one in products} == {(16, 4), (4, 8)}
