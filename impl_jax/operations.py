"""Count what a compiled program's operations compute and move: FLOPs, bytes read and written.

They are read from the text of the program as XLA has optimised it, fusion by fusion: what passes
from operation to operation inside a fusion moves no memory. The bytes are those that an operation
cannot avoid: each element that it needs is read once, each that it makes is written once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from math import prod
from typing import Any

Counted = dict[str, Any]

FREE = {
    "parameter", "constant", "tuple", "get-tuple-element", "bitcast", "after-all",
    "partition-id", "replica-id", "optimization-barrier",
}  # fmt: skip
# Operations that read of their first operand only the elements that they return.
PICK = {"slice", "dynamic-slice", "gather"}
# Operations that write only a part of their first operand, in place.
PATCH = {"dynamic-update-slice": 1, "scatter": 2}  # and which operand that part is
CHEAP = 1000  # FLOPs: a CPU client runs a program of fewer in the thread that calls it
MOVES = {
    "broadcast", "reshape", "transpose", "copy", "concatenate", "pad", "reverse", "iota",
    "convert", "select", "slice", "dynamic-slice", "dynamic-update-slice", "gather", "scatter",
}  # fmt: skip
SLOW = {
    "exponential", "exponential-minus-one", "log", "log-plus-one", "logistic", "tanh", "power",
    "sqrt", "rsqrt", "cbrt", "sine", "cosine", "tan", "erf", "atan2",
}  # fmt: skip
SIZES = {"pred": 1, "s4": 1, "u4": 1, "token": 0, "c64": 8, "c128": 16}  # others: their bits
ARRAY = re.compile(r"([a-z]+\d*[a-z0-9]*)\[([\d,]*)\](?:\{([\d,]*)[^}]*\})?")
NUMBERS = re.compile(r"\d+")
TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')


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
        found = re.search(rf"{attribute}=\{{([\d,]*)\}}", self.attributes)
        return [int(n) for n in NUMBERS.findall(found[1])] if found else []

    def called(self, attribute: str) -> str:
        """Return the name of the computation that an attribute such as ``calls`` names."""
        found = re.search(rf"\b{attribute}=%?([\w.\-]+)", self.attributes)
        return found[1] if found else ""


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
        found = [one for one in self.instructions.values() if one.opcode == "parameter"]
        return sorted(found, key=lambda one: int(one.literal or 0))

    def users(self, name: str) -> list[Instruction]:
        """Return the instructions that have this one as an operand."""
        return [one for one in self.instructions.values() if name in one.operands]


class Module:
    """The computations of an optimised program, parsed from its text.

    Args:
        text: as ``compiled.as_text()`` returns it.
    """

    def __init__(self, text: str) -> None:
        self.computations: dict[str, Computation] = {}
        self.entry = ""
        current: Computation | None = None
        for line in text.splitlines():
            if line.endswith("{") and "->" in line and " = " not in line.split("->")[0]:
                name = line.removeprefix("ENTRY ").split("(")[0].strip().lstrip("%")
                current = self.computations[name] = Computation()
                self.entry = name if line.startswith("ENTRY ") else self.entry
            elif current is not None and (parsed := _instruction(line)):
                current.instructions[parsed.name] = parsed

    def operations(self) -> list[Counted]:
        """Return the operations of one call of the program, equal ones together.

        Each has ``name``, ``count``; ``flops``, ``slow`` (elements of exponentials and the like)
        of one, and the bytes ``read``, ``written`` and ``turned`` (from rows to columns);
        ``dispatch``, the kind of call that issues it; and ``work``, by which `Calibration.measure`
        can run its products alone, or None.
        """
        counts: Counter[str] = Counter()
        kept: dict[str, Counted] = {}
        for times, counted in self._executed(self.entry, 1):
            key = repr(sorted(counted.items(), key=lambda item: item[0]))
            counts[key] += times
            kept[key] = counted
        return [kept[key] | {"count": count} for key, count in counts.items()]

    def _executed(self, name: str, times: int) -> Iterator[tuple[int, Counted]]:
        """Yield how often each operation of a computation runs, and what it computes."""
        computation = self.computations[name]
        for one in computation.instructions.values():
            if one.opcode in FREE:
                continue
            if one.opcode == "while":
                trips = TRIPS.search(one.attributes)
                yield from self._executed(one.called("body"), times * int(trips[1] if trips else 1))
            elif one.opcode == "call":
                yield from self._executed(one.called("to_apply"), times)
            elif one.opcode == "conditional":
                branch = one.called("true_computation") or _first_branch(one)
                yield from self._executed(branch, times) if branch else ()
            else:
                yield times, self._counted(one, computation)

    def _counted(self, one: Instruction, computation: Computation) -> Counted:
        """Return the counts of an instruction of a computation, without how often it runs."""
        inside = self.computations.get(one.called("calls")) if one.opcode == "fusion" else None
        members = list(inside.instructions.values()) if inside else [one]
        where = inside or computation
        products = [work for member in members if (work := _product(member, where))]
        read, written = _fused_bytes(one, inside) if inside else _bytes(one, computation)
        return {
            "name": _title(one, members),
            "flops": sum(_flops(member, where) for member in members),
            "slow": sum(member.elements for member in members if member.opcode in SLOW),
            "read": read,
            "written": written,
            "turned": sum(_turned(member, where) for member in members),
            "dispatch": "operation",
            "work": products or None,
        }


def _instruction(line: str) -> Instruction | None:
    """Return the instruction of a line of the text; None for a line that holds none."""
    head, separator, rest = line.strip().partition(" = ")
    if not separator or " " in head.removeprefix("ROOT "):
        return None
    end = _closing(rest, 0) + 1 if rest.startswith("(") else rest.find(" ")
    shape, rest = rest[:end], rest[end:].strip()
    opening = rest.find("(")
    closing = _closing(rest, opening)
    inner = rest[opening + 1 : closing]
    return Instruction(
        name=head.removeprefix("ROOT ").lstrip("%"),
        arrays=[_array(*found) for found in ARRAY.findall(shape)],
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


def _first_branch(one: Instruction) -> str:
    """Return the first computation of a conditional with numbered branches."""
    found = re.search(r"branch_computations=\{%?([\w.\-]+)", one.attributes)
    return found[1] if found else ""


def _title(one: Instruction, members: list[Instruction]) -> str:
    """Return what an instruction is called in words: its main operation and the result's shape."""
    opcodes = [member.opcode for member in members]
    main = next((o for o in ("convolution", "dot") if o in opcodes), one.opcode)
    if one.opcode == "fusion" and main == "fusion":
        inner = dict.fromkeys(o for o in opcodes if o not in FREE and o not in MOVES)
        main = "fusion of " + (", ".join(list(inner)[:4]) or "moves")
    shapes = " ".join("×".join(map(str, array.shape)) for array in one.arrays[:3])
    return f"{main} {shapes}".strip()[:120]


def _bytes(one: Instruction, computation: Computation) -> tuple[int, int]:
    """Return the bytes that an instruction outside a fusion reads, and writes."""
    operands = [computation.instructions[n] for n in one.operands if n in computation.instructions]
    sizes = [operand.bytes for operand in operands]
    if one.opcode in PICK:
        return one.bytes + sum(sizes[1:]), one.bytes
    if one.opcode in PATCH and len(sizes) > PATCH[one.opcode]:
        part = sizes[PATCH[one.opcode]]
        return sum(sizes[1:]), part
    names = dict(zip(one.operands, sizes, strict=False))  # x · x reads x once
    return sum(names.values()), one.bytes


def _fused_bytes(one: Instruction, inside: Computation) -> tuple[int, int]:
    """Return the bytes that a fusion reads, and writes: parameters and result, or their parts."""
    patched = ""
    written = one.bytes
    if inside.root.opcode in PATCH:
        operands = inside.root.operands
        patched, part = operands[0], operands[PATCH[inside.root.opcode]]
        written = inside.instructions[part].bytes
    read = [_read(one, inside) for one in inside.parameters if one.name != patched]
    return sum(read), written


def _turned(one: Instruction, computation: Computation) -> int:
    """Return the bytes that an instruction turns: whose innermost dimension changes."""
    if one.opcode not in ("copy", "transpose") or one.operands[0] not in computation.instructions:
        return 0
    before, after = computation.instructions[one.operands[0]].arrays[0], one.arrays[0]
    if not after.layout:
        return 0
    innermost = after.layout[0]
    if one.opcode == "transpose":
        innermost = one.numbers("dimensions")[innermost]
    return one.bytes if before.layout[0] != innermost else 0


def _read(parameter: Instruction, inside: Computation) -> int:
    """Return the bytes of a fusion's parameter that are read: all, or those that are picked."""
    users = inside.users(parameter.name)
    if users and all(u.opcode in PICK and u.operands[0] == parameter.name for u in users):
        return min(parameter.bytes, sum(user.bytes for user in users))
    return parameter.bytes


def _flops(one: Instruction, computation: Computation) -> int:
    """Return the FLOPs of an instruction: those of products and convolutions, else its elements."""
    operands = [computation.instructions[n] for n in one.operands if n in computation.instructions]
    if one.opcode == "dot":
        left = operands[0].arrays[0].shape
        inner = [left[i] for i in one.numbers("lhs_contracting_dims")]
        return 2 * one.elements * prod(inner)
    if one.opcode == "convolution":
        return _convolution_flops(one, operands[0].arrays[0], operands[1].arrays[0])
    if one.opcode in ("reduce", "reduce-window", "select-and-scatter"):
        return operands[0].elements if operands else one.elements
    return (
        0 if one.opcode in FREE or one.opcode in MOVES or one.opcode == "fusion" else one.elements
    )


def _convolution_flops(one: Instruction, value: Array, kernel: Array) -> int:
    """Return the FLOPs of a convolution: positions of the kernel in the padding are not counted."""
    window, labels = Window.of(one.attributes), Labels.of(one.attributes)
    taps = 1
    for i in range(len(labels.value)):
        sizes = (value.shape[labels.value[i]], kernel.shape[labels.kernel[i]])
        taps *= window.taps(i, *sizes, one.arrays[0].shape[labels.out[i]])
    spatial = prod(one.arrays[0].shape[d] for d in labels.out)
    groups = re.search(r"batch_group_count=(\d+)", one.attributes)
    channels = kernel.shape[labels.kernel_in]
    outer = one.elements // max(spatial, 1) // (int(groups[1]) if groups else 1)
    return 2 * outer * channels * taps


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
        found = re.search(r"dim_labels=(\w+)_(\w+)->(\w+)", attributes)
        assert found, attributes
        value, kernel, out = found.groups()
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
        found = re.search(r"window=\{([^}]*)\}", attributes)
        pairs = (part.split("=") for part in (found[1].split() if found else []))
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


def _product(one: Instruction, computation: Computation) -> Counted | None:
    """Return a product or convolution as JSON data; None for any other instruction."""
    if one.opcode not in ("dot", "convolution"):
        return None
    operands = [computation.instructions[n].arrays[0] for n in one.operands[:2]]
    work: Counted = {
        "op": one.opcode,
        "arrays": [[a.dtype, a.shape, a.layout] for a in (*operands, one.arrays[0])],
    }
    if one.opcode == "dot":
        names = ("contracting", "batch")
        return work | {
            name: [one.numbers(f"{side}_{name}_dims") for side in ("lhs", "rhs")] for name in names
        }
    labels, window = Labels.of(one.attributes), Window.of(one.attributes)
    count = range(len(labels.value))
    groups = {
        name: int(found[1]) if (found := re.search(rf"{name}=(\d+)", one.attributes)) else 1
        for name in ("feature_group_count", "batch_group_count")
    }
    return (
        work
        | groups
        | {
            "labels": labels.text,
            "strides": [window.number("stride", i) for i in count],
            "padding": [window.pad(i) for i in count],
            "lhs_dilation": [window.number("lhs_dilate", i) for i in count],
            "rhs_dilation": [window.number("rhs_dilate", i) for i in count],
        }
    )


def calls(arguments: int, results: int, *, cheap: bool) -> list[Counted]:
    """Return what a call of a program costs beside its operations, in the form of operations.

    Args:
        arguments: that the program takes.
        results: that it returns.
        cheap: whether it computes so little that the caller's thread runs it, see `CHEAP`.
    """
    counts = {"cheap call" if cheap else "call": 1, "argument": arguments, "result": results}
    nothing = {"flops": 0, "read": 0, "written": 0, "work": None}
    return [{"name": n, "count": c, "dispatch": n, **nothing} for n, c in counts.items()]
