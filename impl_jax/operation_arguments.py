"""Read the text of a program as XLA has optimised it, and build single operations of it anew.

The function of such an operation works on what lies in memory: where XLA laid an array out
otherwise than row by row, its dimensions are permuted.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

import jax
import numpy as np
from jax import lax

SIZES = {"pred": 1, "s4": 1, "u4": 1, "token": 0, "c64": 8, "c128": 16}  # others: their bits
ARRAY = re.compile(r"([a-z]+\d*[a-z0-9]*)\[([\d,]*)\](?:\{([\d,]*)[^}]*\})?")
NUMBERS = re.compile(r"\d+")
COMMENT = re.compile(r"/\*.*?\*/")  # before every fifth operand: /*index=5*/

Work = Mapping[str, Any]  # an operation as `operations.Module` describes it

TYPES = {"f32": "float32", "f64": "float64", "bf16": "bfloat16", "f16": "float16"}
REDUCERS: dict[str, tuple[Callable[..., Any], float]] = {
    "maximum": (lax.max, -np.inf),
    "minimum": (lax.min, np.inf),
    "add": (lax.add, 0.0),
}


@dataclass(frozen=True)
class Array:
    """The type, dimensions and layout (minor dimension first) of an array."""

    dtype: str
    shape: tuple[int, ...]
    layout: tuple[int, ...]

    @property
    def elements(self) -> int:
        """The number of elements."""
        return prod(self.shape)

    @property
    def bytes(self) -> int:
        """The size in bytes."""
        bits = NUMBERS.search(self.dtype)
        size = SIZES.get(self.dtype)
        return self.elements * (size if size is not None else int(bits[0]) // 8 if bits else 4)


@dataclass
class Instruction:
    """One instruction of a computation: its result, operation, operands and attributes."""

    name: str
    arrays: list[Array]
    opcode: str
    operands: list[str]
    attributes: str
    root: bool
    literal: str = ""

    @property
    def bytes(self) -> int:
        """The bytes of all results."""
        return sum(array.bytes for array in self.arrays)

    @property
    def elements(self) -> int:
        """The elements of all results."""
        return sum(array.elements for array in self.arrays)

    def numbers(self, attribute: str) -> list[int]:
        """Return the numbers of an attribute such as ``lhs_contracting_dims={1}``."""
        match = re.search(rf"{attribute}=\{{([\d,]*)\}}", self.attributes)
        return [int(n) for n in NUMBERS.findall(match[1])] if match else []

    def called(self, attribute: str) -> str:
        """Return the name of the computation that an attribute such as ``calls`` names."""
        match = re.search(rf"\b{attribute}=%?([\w.\-]+)", self.attributes)
        return match[1] if match else ""


@dataclass
class Computation:
    """The instructions of one computation by name, in order."""

    instructions: dict[str, Instruction] = field(default_factory=dict)

    @cached_property
    def root(self) -> Instruction:
        """The instruction whose result the computation returns."""
        return next(one for one in self.instructions.values() if one.root)

    @cached_property
    def parameters(self) -> list[Instruction]:
        """The parameters in order."""
        instructions = [one for one in self.instructions.values() if one.opcode == "parameter"]
        return sorted(instructions, key=lambda one: int(one.literal or 0))

    def users(self, name: str) -> list[Instruction]:
        """Return the instructions that have this one as an operand."""
        return [one for one in self.instructions.values() if name in one.operands]


def read_instruction(line: str) -> Instruction | None:
    """Return the instruction of a line of the text; None for a line that holds none."""
    head, separator, rest = line.strip().partition(" = ")
    if not separator or " " in head.removeprefix("ROOT "):
        return None
    end = _closing(rest, 0) + 1 if rest.startswith("(") else rest.find(" ")
    shape, rest = rest[:end], rest[end:].strip()
    opening = rest.find("(")
    closing = _closing(rest, opening)
    inner = COMMENT.sub("", rest[opening + 1 : closing])
    return Instruction(
        name=head.removeprefix("ROOT ").lstrip("%"),
        arrays=[_array(*groups) for groups in ARRAY.findall(shape)],
        opcode=rest[:opening],
        operands=[part.split()[-1].lstrip("%") for part in _parts(inner)],
        attributes=rest[closing + 1 :],
        root=head.startswith("ROOT "),
        literal=inner,
    )


def _array(dtype: str, dimensions: str, layout: str) -> Array:
    """Return the array of a shape as it stands in the text; by default the last one is minor."""
    shape = tuple(int(n) for n in NUMBERS.findall(dimensions))
    order = tuple(int(n) for n in NUMBERS.findall(layout)) or tuple(reversed(range(len(shape))))
    return Array(dtype, shape, order)


def _closing(text: str, opening: int) -> int:
    """Return the position of the bracket that closes the one at ``opening``."""
    depth = 0
    for position in range(opening, len(text)):
        depth += {"(": 1, ")": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return len(text)


def _parts(text: str) -> list[str]:
    """Split at the commas that stand in no brackets."""
    parts, depth, start = [], 0, 0
    for position, sign in enumerate(text):
        depth += (sign in "([{") - (sign in ")]}")
        if sign == "," and depth == 0:
            parts.append(text[start:position])
            start = position + 1
    return [part for part in (*parts, text[start:]) if part.strip()]


@dataclass(frozen=True)
class Labels:
    """The spatial dimensions of a convolution's operands and result, and the channels read."""

    text: tuple[str, str, str]
    value: tuple[int, ...]
    kernel: tuple[int, ...]
    out: tuple[int, ...]
    kernel_in: int

    @classmethod
    def of(cls, attributes: str) -> Labels:
        """Read ``dim_labels=b01f_01io->b01f``."""
        match = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", attributes)
        assert match, attributes
        value, kernel, out = match.groups()
        digits = sorted(sign for sign in value if sign.isdigit())
        where: Callable[[str], tuple[int, ...]] = lambda text: tuple(map(text.index, digits))  # noqa: E731
        return cls((value, kernel, out), where(value), where(kernel), where(out), kernel.index("i"))


@dataclass(frozen=True)
class Window:
    """The window of a convolution: what each spatial dimension is strided, padded, dilated by."""

    fields: dict[str, list[str]]

    @classmethod
    def of(cls, attributes: str) -> Window:
        """Read ``window={size=3x3 stride=2x2 pad=1_1x1_1 lhs_dilate=2x2}``."""
        match = re.search(r"window=\{([^}]*)\}", attributes)
        pairs = (part.split("=") for part in (match[1].split() if match else []))
        return cls({name: values.split("x") for name, values in pairs})

    def number(self, name: str, i: int) -> int:
        """Return a number of one spatial dimension, 1 by default."""
        return int(self.fields[name][i]) if name in self.fields else 1

    def pad(self, i: int) -> tuple[int, int]:
        """Return the padding before and behind one spatial dimension."""
        if "pad" not in self.fields:
            return 0, 0
        low, high = self.fields["pad"][i].split("_")
        return int(low), int(high)

    def reversed(self, i: int) -> bool:
        """Return whether the kernel is read backwards in one spatial dimension."""
        return "rhs_reversal" in self.fields and self.fields["rhs_reversal"][i] == "1"

    def taps(self, i: int, size: int, kernel: int, out: int) -> int:
        """Return the pairs of output and kernel positions that meet an element of the input."""
        stride, low = self.number("stride", i), self.pad(i)[0]
        dilated, apart = self.number("lhs_dilate", i), self.number("rhs_dilate", i)
        places = (o * stride - low + k * apart for o in range(out) for k in range(kernel))
        return sum(p % dilated == 0 and 0 <= p // dilated < size for p in places)


def order_of(layout: Sequence[int]) -> list[int]:
    """Return the dimensions in the order in which they lie in memory, the outermost first."""
    return list(reversed(layout))


def operands_of(work: Work) -> list[tuple[list[int], str]]:
    """Return the shape, as it lies in memory, and the type of each operand."""
    return [
        ([shape[d] for d in order_of(layout)], TYPES.get(name, name))
        for name, shape, layout in work["arrays"][:-1]
    ]


def function_of(work: Work) -> Callable[..., jax.Array]:
    """Return the function of the operands that computes an operation."""
    build = {"dot": product_of, "convolution": convolution_of, "reduce-window": pool_of}
    return build[work["op"]](work)


def product_of(work: Work) -> Callable[..., jax.Array]:
    """Return the function of two arrays that computes a product, over what lies in memory.

    Where XLA laid an array out otherwise than row by row, its dimensions are permuted.
    """
    orders = [order_of(layout) for _, _, layout in work["arrays"]]
    pairs: list[Any] = [
        tuple(
            tuple(order.index(d) for d in dims)
            for order, dims in zip(orders, work[name], strict=False)
        )
        for name in ("contracting", "batch")
    ]
    turned = orders[2] == [1, 0]  # the result lies column by column: the other operand goes first

    def multiply(left: jax.Array, right: jax.Array) -> jax.Array:
        if turned:
            (a, b), (c, d) = pairs
            return lax.dot_general(right, left, ((b, a), (d, c)))
        return lax.dot_general(left, right, (pairs[0], pairs[1]))

    return multiply


def convolution_of(work: Work) -> Callable[..., jax.Array]:
    """Return the function of two arrays that computes a convolution, over what lies in memory."""
    orders = [order_of(layout) for _, _, layout in work["arrays"]]
    labels = [
        "".join(text[d] for d in order) for text, order in zip(work["labels"], orders, strict=True)
    ]
    digits = sorted(sign for sign in labels[0] if sign.isdigit())
    specs = [
        tuple(map(text.index, (*ends, *digits)))
        for text, ends in zip(labels, ("bf", "oi", "bf"), strict=True)
    ]

    def convolve(value: jax.Array, kernel: jax.Array) -> jax.Array:
        return lax.conv_general_dilated(
            value,
            kernel,
            window_strides=work["strides"],
            padding=[tuple(pair) for pair in work["padding"]],
            lhs_dilation=work["lhs_dilation"],
            rhs_dilation=work["rhs_dilation"],
            dimension_numbers=lax.ConvDimensionNumbers(*specs),
            feature_group_count=work["feature_group_count"],
            batch_group_count=work["batch_group_count"],
        )

    return convolve


def pool_of(work: Work) -> Callable[[jax.Array], jax.Array]:
    """Return the function of an array that reduces each window of it to a number."""
    order = order_of(work["arrays"][0][2])
    reducer, start = REDUCERS[work["reducer"]]

    def along(name: str) -> list[Any]:
        return [work[name][d] for d in order]

    def pool(value: jax.Array) -> jax.Array:
        result: jax.Array = lax.reduce_window(
            value,
            np.asarray(start, value.dtype),  # a number of its own: XLA knows the reduction by it
            reducer,
            window_dimensions=along("size"),
            window_strides=along("strides"),
            padding=[tuple(pair) for pair in along("padding")],
            base_dilation=along("lhs_dilation"),
            window_dilation=along("rhs_dilation"),
        )
        return result

    return pool
