"""Count what a compiled program's operations compute and move: FLOPs, bytes read and written.

They are read from the text of the program as XLA has optimised it, fusion by fusion: what passes
from operation to operation inside a fusion moves no memory. The bytes are those that an operation
cannot avoid: each element that it needs is read once, each that it makes is written once.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from math import prod
from typing import Any

from impl_jax.gemms import TAKEN
from impl_jax.operation_arguments import (
    REDUCERS,
    Array,
    Computation,
    Instruction,
    Labels,
    Window,
    read_instruction,
)

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
KNOWN = ("convolution", "dot", "reduce-window")  # after which a fusion is called
TRIPS = re.compile(r'"known_trip_count":\{"n":"(\d+)"\}')


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
            elif current is not None and (parsed := read_instruction(line)):
                current.instructions[parsed.name] = parsed

    def operations(self) -> list[Counted]:
        """Return the operations of one call of the program, equal ones together.

        Each has ``name``, ``count``; ``flops``, ``slow`` (elements of exponentials and the like)
        of one, and the bytes ``read``, ``written`` and ``turned`` (from rows to columns);
        ``dispatch``, the kind of call that issues it; and ``work``, by which `Calibration.measure`
        can run alone what it holds of products, convolutions and pools, or None.
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
                branch = one.called("true_computation") or _branch_taken(one)
                yield from self._executed(branch, times) if branch else ()
            else:
                yield times, self._counted(one, computation)

    def _counted(self, one: Instruction, computation: Computation) -> Counted:
        """Return the counts of an instruction of a computation, without how often it runs."""
        inside = self.computations.get(one.called("calls")) if one.opcode == "fusion" else None
        members = list(inside.instructions.values()) if inside else [one]
        where = inside or computation
        works = [_work(member, where, self.computations) for member in members]
        read, written = _fused_bytes(one, inside) if inside else _bytes(one, computation)
        return {
            "name": _title(one, members),
            "flops": sum(_flops(member, where) for member in members),
            "slow": sum(member.elements for member in members if member.opcode in SLOW),
            "read": read,
            "written": written,
            "turned": sum(_turned(member, where) for member in members),
            "dispatch": "operation",
            "work": [work for work in works if work] or None,
        }


def _branch_taken(one: Instruction) -> str:
    """Return the branch of a conditional with numbered ones that stands for True, if there are two.

    `jax.lax.cond` numbers its branches, and False is the first; see `gemms.TAKEN`.
    """
    found = re.search(r"branch_computations=\{([^}]*)\}", one.attributes)
    names = re.findall(r"[\w.\-]+", found[1]) if found else []
    return names[min(TAKEN, len(names) - 1)] if names else ""


def _title(one: Instruction, members: list[Instruction]) -> str:
    """Return what an instruction is called in words: its main operation and the result's shape."""
    opcodes = [member.opcode for member in members]
    main = next((o for o in KNOWN if o in opcodes), one.opcode)
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


def _work(
    one: Instruction, computation: Computation, computations: Mapping[str, Computation]
) -> Counted | None:
    """Return an instruction as JSON data, by which `function_of` builds it anew.

    Args:
        one: the instruction.
        computation: that it stands in.
        computations: all of the program, by name.

    Returns:
        ``op``, the name of the operation; ``arrays``, type, shape and layout of each operand and of
        the result; and what else it needs. None for an instruction whose bytes tell its time.
    """
    if one.opcode == "reduce-window":
        return _pool(one, computation, computations)
    if one.opcode not in ("dot", "convolution"):
        return None
    work = _described(one, computation, 2)
    if one.opcode == "dot":
        names = ("contracting", "batch")
        return work | {
            name: [one.numbers(f"{side}_{name}_dims") for side in ("lhs", "rhs")] for name in names
        }
    labels, window = Labels.of(one.attributes), Window.of(one.attributes)
    return work | _groups(one) | {"labels": labels.text} | _window(window, len(labels.value))


def _described(one: Instruction, computation: Computation, operands: int) -> Counted:
    """Return the name and the arrays of an instruction, of its first operands and its result."""
    known = [computation.instructions[name].arrays[0] for name in one.operands[:operands]]
    arrays = [[a.dtype, a.shape, a.layout] for a in (*known, one.arrays[0])]
    return {"op": one.opcode, "arrays": arrays}


def _groups(one: Instruction) -> Counted:
    """Return the numbers of groups of a convolution, 1 by default."""
    found = {
        name: re.search(rf"{name}=(\d+)", one.attributes)
        for name in ("feature_group_count", "batch_group_count")
    }
    return {name: int(number[1]) if number else 1 for name, number in found.items()}


def _window(window: Window, dimensions: int) -> Counted:
    """Return how a window moves along each dimension: strides, padding, and dilation."""
    count = range(dimensions)
    return {
        "strides": [window.number("stride", i) for i in count],
        "padding": [window.pad(i) for i in count],
        "lhs_dilation": [window.number("lhs_dilate", i) for i in count],
        "rhs_dilation": [window.number("rhs_dilate", i) for i in count],
    }


def _pool(
    one: Instruction, computation: Computation, computations: Mapping[str, Computation]
) -> Counted | None:
    """Return a reduction of windows of one array; None where it cannot be built anew.

    That is so of several arrays, of a reduction by anything but one known operation, and of a
    result that lies otherwise than the array.
    """
    region = computations.get(one.called("to_apply"))
    reducer = region.root.opcode if region else ""
    if len(one.arrays) > 1 or reducer not in REDUCERS:
        return None
    work = _described(one, computation, 1)
    (_, shape, layout), (_, _, result) = work["arrays"]
    if layout != result:
        return None
    window, count = Window.of(one.attributes), len(shape)
    sizes = [window.number("size", i) for i in range(count)]
    return work | {"reducer": reducer, "size": sizes} | _window(window, count)


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
