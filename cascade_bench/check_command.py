"""``cascade-bench check``: what a training step of the user's own really does."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from cascade_bench import client
from cascade_bench.command_parts import (
    answered,
    check_output,
    parser_of,
    print_table,
    print_text,
    terminal_width,
    write_json,
)
from cascade_bench.explaining import explanation
from cascade_bench.parsing import seconds
from cascade_bench.process import run_request
from cascade_bench.target import from_text

TEXT, GITHUB = "text", "github"
ABOUT = (
    "Take your own training step a few times, and say what is wrong with it, such as something "
    "frozen that moves, or a parameter that no optimizer holds."
)
EXAMPLES = """\
examples:
  cascade-bench check my_case.py                     make(), or torch_case() and jax_case()
  cascade-bench check my_case.py:small --steps 16    where gradients are accumulated over 16 calls
  cascade-bench check my_package.cases:make --format github    annotations in a workflow
  cascade-bench check --explain CB101                what a finding means, and its mend

The Case that the function returns has step=: one training step of your own.
exit codes: 0 nothing found, 1 findings, 2 the case cannot be run, 130 stopped by Ctrl-C.
"""


def run(arguments: Sequence[str]) -> int:
    """Check one case, print what was found, and return the exit code.

    Args:
        arguments: the words after ``check``.
    """
    options = parser().parse_args(arguments)
    return answered(lambda: _explain(options.explain) if options.explain else _run(options))


def _explain(code: str) -> int:
    """Print what is known of a finding; return 0."""
    print_text(explanation(code, terminal_width()))
    return 0


def parser() -> argparse.ArgumentParser:
    """Return the parser of the words after ``check``."""
    made = parser_of("check", ABOUT, EXAMPLES, needs_case=False)
    made.add_argument("--steps", type=int, metavar="N", help="training steps to take (default: 4)")
    made.add_argument(
        "--seed", type=int, default=0, help="seed of what the case draws (default: 0)"
    )
    made.add_argument(
        "--budget",
        type=seconds,
        default=300.0,
        metavar="TIME",
        help="give up after this time, such as 90s or 5m (default: 5m)",
    )
    made.add_argument("--json", metavar="FILE", help="write everything as one JSON document")
    made.add_argument(
        "--explain", metavar="CODE", help="print what a finding means, such as CB101; check nothing"
    )
    made.add_argument(
        "--format",
        choices=(TEXT, GITHUB),
        default=TEXT,
        help="text, or annotations for a GitHub workflow (default: text)",
    )
    return made


def _run(options: argparse.Namespace) -> int:
    """Check the case that the options name; see `run`."""
    folder = Path.cwd()
    check_output("json", options.json, folder=False)
    case = from_text(options.case or "", folder)
    with tempfile.TemporaryDirectory(prefix="cascade-bench-") as private:
        file = Path(private) / "document.json"
        request = client.build_request(
            case,
            folder,
            file,
            command="check",
            budget=options.budget,
            framework=options.framework,
            seed=options.seed,
            steps=options.steps,
        )
        outcome = run_request(request, Path(private), sys.stderr.write)
        if outcome.code == client.INTERRUPTED:
            print("cascade-bench: stopped before the check had ended", file=sys.stderr)
            return client.INTERRUPTED
        document = client.checked_document(outcome)
        if options.json:
            write_json(Path(options.json), document)
        if options.format == GITHUB:
            print_text("".join(f"{line}\n" for line in workflow_commands(document)))
        else:
            print_table(file)
    return outcome.code


def workflow_commands(document: Mapping[str, Any]) -> Iterator[str]:
    """Yield a workflow command for each finding, at the line of the step; see GitHub's pages.

    Args:
        document: of a check.
    """
    place = document["case"]
    file = _from_root(place["file"]) if place.get("file") else ""
    at = f"file={_property(file)},line={place.get('line') or 1}"
    for part in document["frameworks"]:
        for finding in part["findings"]:
            title = _property(f"{finding['code']} {finding['title']}")
            text = _data(f"{finding['message']}\n{finding['mend']}\n{finding['page']}")
            yield f"::error {at},title={title}::{text}"
        if not part["findings"]:
            notice = _data(f"{part['framework']}: nothing found; {part['looked_at']}")
            yield f"::notice {at}::{notice}"


def _from_root(file: str) -> str:
    """Return the path of a file as annotations name it: from the top of the repository.

    A workflow may run the command in a folder below that.
    """
    root = os.environ.get("GITHUB_WORKSPACE") or os.curdir
    inside = Path(file).absolute().is_relative_to(root)
    return os.path.relpath(file, root if inside else os.curdir)


def _data(text: str) -> str:
    """Return a text as the value of a workflow command."""
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    """Return a text as a property of a workflow command."""
    return _data(text).replace(":", "%3A").replace(",", "%2C")
