"""Run the core checks in environments that differ along one axis (``make matrix``).

Each environment is made in a folder of its own, checked and removed again. What was seen goes into
``docs/releases/seen.json``, of which ``docs/releases.md`` is written; an environment that is not
named keeps what was seen before.

Exit codes: 0 all passed, 1 something failed or could not be made, 2 bad arguments, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.evaluation.releases import making, page
from benchmarks.evaluation.releases.checking import check
from benchmarks.evaluation.releases.environments import ENVIRONMENTS, Environment
from benchmarks.paths import ROOT

FOLDER = ROOT / "build" / "matrix"
FAILED, STOPPED = 1, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Try the environments that are named, or all; write the page; return the exit code."""
    options = _parser().parse_args(arguments)
    chosen = [one for one in ENVIRONMENTS if one.name in (options.names or names())]
    if options.list:
        for one in chosen:
            print(f"{one.name:22}Python {one.python}  {' '.join(one.requirements) or 'neither'}")
        return 0
    code = 0
    try:
        for one in chosen:
            print(f"== {one.name}", flush=True)
            result = attempt(one, Path(options.folder).absolute(), keep=options.keep)
            page.write({**page.read(), one.name: result})  # as another matrix may have left it
            print(f"== {one.name}: {page.outcome(result)}", flush=True)
            code = code if page.passed(result) else FAILED
    except KeyboardInterrupt:
        print("matrix: stopped; what was seen is kept", file=sys.stderr)
        return STOPPED
    return code


def names() -> list[str]:
    """Return the names of all environments."""
    return [one.name for one in ENVIRONMENTS]


def attempt(environment: Environment, folder: Path, *, keep: bool) -> dict[str, Any]:
    """Make one environment, check it and remove it.

    Args:
        environment: to be tried.
        folder: in which it gets a folder of its own.
        keep: leave it there, for another look.

    Returns:
        ``when``; and what `checking.check` returns, or ``missing``, why there is nothing to check.
    """
    when = time.strftime("%Y-%m-%d")
    try:
        return {"when": when, **check(environment, making.make(environment, folder))}
    except making.NotMadeError as error:
        return {"when": when, "missing": str(error)}
    finally:
        if not keep:
            making.remove(environment, folder)


def _parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.evaluation.releases.matrix", description=__doc__
    )
    parser.add_argument("names", nargs="*", choices=[[], *names()], metavar="NAME", default=[])
    parser.add_argument("--list", action="store_true", help="the environments, no more")
    parser.add_argument("--folder", default=str(FOLDER), help="to make them in (build/matrix)")
    parser.add_argument("--keep", action="store_true", help="do not remove them after use")
    return parser


if __name__ == "__main__":
    sys.exit(main())
