"""Write ``docs/traps.md`` and ``docs/costs.md`` from tests that prove them (``make docs``).

A trap is training code that runs without an error and trains the wrong thing; a cost is code that
trains the right thing and computes what nothing comes of. A test whose docstring has a title,
``Notice:`` and ``Instead:`` gets a section on the page. The section shows the code of each
experiment that the test runs, and the values which it returned.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.harness.worker.checks import TRAP_FILES
from benchmarks.machine.environment import installed
from benchmarks.paths import ROOT

TRAPS_HEAD = """\
# Silent traps

Training code that runs without an error and trains the wrong thing. Every trap is a test of this
suite: the code is what the test runs, the table is what that returned, and the right way is run
beside the wrong one. Names that begin with an underscore are helpers in the same file. What trains
the right thing at a price that nobody meant to pay is on the page of [costs](costs.md).

Measured with {versions}, on a CPU, in float32. `make docs` writes this page anew.
"""
COSTS_HEAD = """\
# Hidden costs

Training code that trains the right thing, and computes what nothing comes of. Every section is a
test of this suite: the code is what the test runs, the table is what that returned. Counted are
matrix products, which no machine and no noise changes; what they take in seconds is in the
[report](report.md). What trains the wrong thing is on the page of [traps](traps.md).

Counted with {versions}, on a CPU, in float32. `make docs` writes this page anew.
"""


@dataclass(frozen=True)
class Page:
    """Hold what a page is made of: its file, its head, and the files of tests, in order."""

    file: Path
    head: str
    tests: tuple[str, ...]


TRAPS = Page(
    ROOT / "docs" / "traps.md",
    TRAPS_HEAD,
    (
        "benchmarks/test_backward_traps.py",
        "benchmarks/test_freeze_traps.py",
        "benchmarks/test_update_traps.py",
        "benchmarks/test_selection_traps.py",
        "benchmarks/test_sharing_traps.py",
        "benchmarks/test_loss_traps.py",
        "benchmarks/test_stepping_traps.py",
        "benchmarks/test_schedule_traps.py",
        "benchmarks/test_state_traps.py",
        "benchmarks/test_module_traps.py",
        "benchmarks/test_rank_traps.py",
    ),
)
COSTS = Page(ROOT / "docs" / "costs.md", COSTS_HEAD, ("benchmarks/test_cost_traps.py",))
PAGES = (TRAPS, COSTS)
SECTION = """
## {title}

{facts}

**How to notice it.** {Notice}

**What to write.** {Instead}

Proven by `{test}` in [{file}](../{file}).
"""
FACT = """\
**{framework}:** {about}

```python
{code}
```

{table}

Code: [{file}](../{file})."""


def write(page: Page, workers: CheckWorkers) -> str:
    """Return a page as Markdown; every experiment on it is run anew by ``workers``."""
    versions = ((n, installed(n) or "") for n in ("torch", "jax", "flax", "optax"))
    head = page.head.format(versions=", ".join(f"{n} {v.partition('+')[0]}" for n, v in versions))
    return head + "".join(section(test, file, workers) for test, file in _shown_tests(page))


def section(test: ast.FunctionDef, file: str, workers: CheckWorkers) -> str:
    """Return one trap: title and advice from the test's docstring, experiments from its calls."""
    title, *advice = (ast.get_docstring(test) or "").split("\n\n")
    facts = "\n\n".join(_fact(*shown, workers) for shown in _shown_facts(test))
    parts = dict(paragraph.split(": ", 1) for paragraph in advice)
    return SECTION.format(title=title, facts=facts, test=test.name, file=file, **parts)


def table(result: dict[str, Any]) -> str:
    """Return an experiment's result as a table: a row for each case, a column for each value."""
    rows = list(_rows(result))
    columns = list(dict.fromkeys(name for _, values in rows for name in values))
    lines = [["", *map(_words, columns)], ["---"] * (len(columns) + 1)]
    for path, values in rows:
        lines.append([", ".join(map(_words, path)), *(_cell(n, values.get(n)) for n in columns)])
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _shown_tests(page: Page) -> Iterator[tuple[ast.FunctionDef, str]]:
    """Yield every test that has a section on the page, with its file."""
    for file in page.tests:
        for node in ast.parse((ROOT / file).read_text()).body:
            if isinstance(node, ast.FunctionDef) and "Notice: " in (ast.get_docstring(node) or ""):
                yield node, file


def _shown_facts(test: ast.FunctionDef) -> Iterator[tuple[str, str]]:
    """Yield the arguments of every ``workers.demonstrate(framework, name)`` in the test."""
    for node in ast.walk(test):
        if isinstance(node, ast.Call) and getattr(node.func, "attr", None) == "demonstrate":
            framework, fact = map(ast.literal_eval, node.args)
            yield framework, fact


def _fact(framework: str, name: str, workers: CheckWorkers) -> str:
    """Run an experiment of a framework's trap files; return its docstring, code and values."""
    files = (f"impl_{framework}/{stem}.py" for stem in TRAP_FILES)
    for file in (file for file in files if (ROOT / file).exists()):
        text = (ROOT / file).read_text()
        for node in ast.parse(text).body:
            if isinstance(node, ast.FunctionDef) and node.name == name:
                about, code = _docstring_and_code(node, text.splitlines())
                values = table(workers.demonstrate(framework, name))
                return FACT.format(
                    framework=framework, about=about, code=code, table=values, file=file
                )
    raise LookupError(f"fact {name!r}: in none of {TRAP_FILES} of impl_{framework}")


def _docstring_and_code(function: ast.FunctionDef, lines: list[str]) -> tuple[str, str]:
    """Return a function's docstring, and its source without that docstring."""
    docstring = function.body[0]
    head = lines[function.lineno - 1 : docstring.lineno - 1]
    body = "\n".join(lines[docstring.end_lineno : function.end_lineno])
    about = (ast.get_docstring(function) or "").replace("``", "`")
    return about, "\n".join([*head, body.lstrip("\n")])


def _rows(
    result: dict[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], dict[str, Any]]]:
    """Yield the path of keys to every case of a nested result, with the values of that case."""
    cases = {n: v for n, v in result.items() if isinstance(v, dict) and "message" not in v}
    values = {n: v for n, v in result.items() if n not in cases}
    if values:
        yield path, values
    for name, case in cases.items():
        yield from _rows(case, (*path, name))


def _cell(name: str, value: Any) -> str:
    """Return a value as the text of a table's cell; an error that was raised becomes its type."""
    if isinstance(value, dict):
        return str(value["type"])  # an error that was raised
    if value is None:
        return "nothing" if "raised" in name else "–"
    return f"{value:.2g}" if isinstance(value, float) else str(value)


def _words(name: str) -> str:
    """Return a name with spaces between its words."""
    return name.replace("_", " ")


def main() -> None:
    """Write both pages."""
    workers = CheckWorkers()
    try:
        for page in PAGES:
            page.file.write_text(write(page, workers))
    finally:
        workers.close()


if __name__ == "__main__":
    main()
