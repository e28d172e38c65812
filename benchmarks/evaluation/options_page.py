"""Write ``docs/options.md``, every option of every command, from their parsers (``make docs``)."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator
from typing import Any

from _pytest.config.argparsing import Parser

from benchmarks import cli, pytest_options
from benchmarks.paths import ROOT
from cascade_bench import check_command, new_command, try_command
from cascade_bench import cli as client

PAGE = ROOT / "docs" / "options.md"
HEAD = """\
# Every option of every command

Made from the parsers of the commands by `make docs`; `--help` of a command says the same. How the
commands are used: [usage](usage.md). Every option that takes a name refuses an unknown one, with
the nearest that there is.
"""
PYTEST = """
## pytest benchmarks

Options of this suite, beside pytest's own and pytest-benchmark's. `--benchmark-only` checks and
times, `--benchmark-skip` checks alone.
"""


def page() -> str:
    """Return the page as Markdown."""
    return HEAD + "".join(map(_command, parsers())) + PYTEST + _table(_pytest_rows())


def parsers() -> list[argparse.ArgumentParser]:
    """Return the parser of each command of ``cascade-bench``, in the order of its help."""
    own = {"try": try_command, "check": check_command, "new": new_command}
    commands = {name: module.parser() for name, module in own.items()} | _of_the_suite()
    return [commands[name] for name in (*client.OWN, *client.PASSED_ON)]


def _of_the_suite() -> dict[str, argparse.ArgumentParser]:
    """Return the commands that the suite carries out, by name."""
    actions = cli.build_parser()._actions
    (chosen,) = (one for one in actions if isinstance(one, argparse._SubParsersAction))
    return dict(chosen.choices)


def _command(parser: argparse.ArgumentParser) -> str:
    """Return the section of one command: what it does, a table of arguments, examples."""
    actions = [one for one in parser._actions if not isinstance(one, argparse._HelpAction)]
    table = _table((_names(one), _help_text(one, parser)) for one in actions)
    notes = f"\n```text\n{(parser.epilog or '').strip()}\n```\n"
    return f"\n## {parser.prog}\n\n{parser.description}\n{table}{notes if parser.epilog else ''}"


def _names(action: argparse.Action) -> str:
    """Return how an argument is written, with the name of its value."""
    value = action.metavar or ("|".join(action.choices) if action.choices else action.dest.upper())
    value = value if isinstance(value, str) else " ".join(value)
    shown = {"?": f"[{value}]", "*": f"[{value} …]", "+": f"{value} …", 0: ""}
    text = shown.get(action.nargs, value)
    return " ".join(filter(None, (", ".join(action.option_strings), text)))


def _help_text(action: argparse.Action, parser: argparse.ArgumentParser) -> str:
    """Return the help of an argument, with its values filled in."""
    return parser._get_formatter()._expand_help(action) if action.help else ""


def _pytest_rows() -> Iterator[tuple[str, str]]:
    """Yield option and help of each option that the suite adds to pytest's."""
    for option in pytest_options.add_options(Parser(_ispytest=True)).options:
        known: dict[str, Any] = option.attrs()  # those of an action of argparse
        value = "" if known.get("nargs") == 0 else known.get("metavar") or "VALUE"
        value = f"[{value}]" if known.get("nargs") == "?" else value
        yield " ".join((*option.names(), value)).strip(), known["help"].replace("%%", "%")


def _table(rows: Iterable[tuple[str, str]]) -> str:
    """Return a table with a row for each option."""
    cells = ((name.replace("|", "\\|"), text.replace("|", "\\|")) for name, text in rows)
    body = "\n".join(f"| `{name}` | {text} |" for name, text in cells)
    return f"\n| option | what it does |\n|---|---|\n{body}\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page())


if __name__ == "__main__":
    main()
