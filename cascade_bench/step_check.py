"""Check what a training step of the user's own really does, in processes of the suite."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Collection, Mapping
from typing import Any

from cascade_bench import client

Make = Callable[[], Any] | str | os.PathLike[str]


class Checked:
    """Hold what was found in a training step; printing it shows each finding.

    Attributes:
        document: everything as plain data, what each tensor does among it.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.document = document

    @property
    def findings(self) -> list[dict[str, Any]]:
        """Return each finding: ``code``, ``title``, ``tensors``, ``message``, ``mend``, ``page``.

        ``framework`` says in which framework it was found.
        """
        return [
            {"framework": part["framework"], **one}
            for part in self.document.get("frameworks", ())
            for one in part["findings"]
        ]

    @property
    def codes(self) -> list[str]:
        """Return the codes of what was found, each once, in order."""
        return sorted({one["code"] for one in self.findings})

    @property
    def ok(self) -> bool:
        """Return whether nothing was found."""
        return self.document.get("exit_code") == 0

    def __str__(self) -> str:
        """Return a line for each finding, or what was looked at."""
        lines = [line(one) for one in self.findings]
        seen = [f"{p['framework']}: {p['looked_at']}" for p in self.document.get("frameworks", ())]
        return "\n".join(lines or ["nothing found", *seen])


def check(
    make: Make,
    *,
    steps: int | None = None,
    framework: str | None = None,
    seed: int = 0,
    budget: float = 300.0,
    progress: bool = False,
) -> Checked:
    """Take some training steps of a case, and return what is wrong with them.

    Args:
        make: as in `cascade_bench.compare`; the `Case` that it returns has a ``step``.
        steps: how many to take; None for 4. Where gradients are accumulated over several steps,
            or something is trained in every tenth only, give more.
        framework: ``"torch"`` or ``"jax"``; None for that of the case.
        seed: is set before the case is built and before the first step.
        budget: seconds after which it is given up.
        progress: whether to tell on stderr what is being done.

    Raises:
        CaseError: the case cannot be found or run; one line with file, line and what to do.
        ValueError: an argument is none of those allowed.
    """
    show: Callable[[str], object] = sys.stderr.write if progress else lambda _: None
    asked = {"steps": steps, "framework": framework, "seed": seed, "budget": budget}
    return Checked(client.carry_out(make, show, command="check", **asked))


def assert_no_findings(make: Make, *, ignore: Collection[str] = (), **options: Any) -> None:
    """Fail if anything is wrong with a training step.

    Args:
        make: as in `check`, as are the options.
        ignore: codes that are meant to be so, such as ``["CB302"]``.

    Raises:
        AssertionError: names each finding, its evidence and its mend.
        CaseError: the case cannot be run.
        ValueError: ``ignore`` holds what is no code.
    """
    wrong = [code for code in ignore if not (code.startswith("CB") and code[2:].isdigit())]
    if isinstance(ignore, str) or wrong:
        raise ValueError(f"ignore is {ignore!r}; give codes, such as ignore=['CB302']")
    left = [one for one in check(make, **options).findings if one["code"] not in ignore]
    if left:
        raise AssertionError("\n".join(["the training step has findings:", *map(line, left)]))


def line(finding: Mapping[str, Any]) -> str:
    """Return a finding in one line."""
    text = (
        f"{finding['code']} {finding['title']} ({finding['framework']}): {finding['message']}; "
        f"{finding['mend']}; {finding['page']}"
    )
    return " ".join(text.split())
