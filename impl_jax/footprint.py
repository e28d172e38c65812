"""Count the instructions of compiled programs, and the memory that XLA has planned for them.

A count has no noise: XLA plans the memory of a program when it compiles it, and the same program
is compiled to the same instructions.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

# Instructions that compute nothing: they name an argument, or a part of a value.
NAMING = ("parameter", "constant", "tuple", "get-tuple-element", "bitcast")
_INSTRUCTION = re.compile(r"^\s+(?:ROOT )?%?[\w.-]+ = ")
_OPCODE = re.compile(r"\s*([a-z][a-z0-9-]*)\(")


def instructions(text: str) -> Counter[str]:
    """Return opcode → number of instructions in the text of an optimised HLO module.

    The instructions inside fusions and loops are counted too, each once.
    """
    counts: Counter[str] = Counter()
    for line in text.splitlines():
        begin = _INSTRUCTION.match(line)
        opcode = _OPCODE.match(line, _end_of_type(line, begin.end())) if begin else None
        if opcode and opcode[1] not in NAMING:
            counts[opcode[1]] += 1
    return counts


def _end_of_type(line: str, start: int) -> int:
    """Return where the type of an instruction's result ends, which may be a tuple of types."""
    depth = 0
    for place in range(start, len(line)):
        depth += (line[place] == "(") - (line[place] == ")")
        if line[place] == " " and not depth:
            return place
    return len(line)


def describe(executables: Sequence[Any]) -> dict[str, Any]:
    """Return what the compiled functions of one program consist of and hold.

    Args:
        executables: as `jax.stages.Compiled`; None among them for a function that is not compiled.

    Returns:
        ``operations``, opcode → number of HLO instructions; ``held_bytes``, the most that one of
        the functions holds at once: arguments, outputs and temporaries, where one that overwrites
        another counts once; and ``aliased_bytes``, those of arguments that outputs overwrite. Each
        is None where a function is not compiled whole, or XLA does not tell.
    """
    if not executables or None in executables:
        return {"operations": None, "held_bytes": None, "aliased_bytes": None}
    operations: Counter[str] = Counter()
    for executable in executables:
        operations += instructions(executable.as_text() or "")
    planned = [executable.memory_analysis() for executable in executables]
    if None in planned:
        return {"operations": dict(operations), "held_bytes": None, "aliased_bytes": None}
    return {
        "operations": dict(operations),
        "held_bytes": max(map(_held, planned)),
        "aliased_bytes": sum(int(one.alias_size_in_bytes) for one in planned),
    }


def _held(planned: Any) -> int:
    """Return the bytes that a compiled function holds at once, by XLA's plan of its memory."""
    whole = planned.argument_size_in_bytes + planned.output_size_in_bytes
    return int(whole + planned.temp_size_in_bytes - planned.alias_size_in_bytes)
