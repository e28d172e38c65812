"""Read a request of the client, and find out which framework the user's function is for."""

from __future__ import annotations

import ast
import difflib
import importlib.util
import json
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any

from benchmarks.harness.protocol.case_messages import CaseSource
from benchmarks.harness.protocol.cells import PHASES, RECIPES, STRATEGIES
from benchmarks.scenarios import FRAMEWORKS

SCHEMA = 1
COMPARE, FLOW, CHECK = "compare", "flow", "check"
BUDGET = 60.0  # seconds
MOST_SEED = 2**32 - 1  # NumPy takes no other
STEPS, MOST_STEPS = 4, 1000  # what happens every fourth step is seen
IMPORTS = {
    "torch": {
        "torch", "torchvision", "torchaudio", "transformers", "peft", "diffusers", "timm",
        "sentence_transformers", "torch_geometric", "lightning", "pytorch_lightning",
    },
    "jax": {"jax", "flax", "optax", "equinox", "haiku", "jaxlib", "chex", "distrax", "numpyro"},
}  # fmt: skip
FUNCTIONS = {"torch": "torch_case", "jax": "jax_case"}  # in one file for both frameworks
DEFAULT_FUNCTION = "make"


class RequestError(Exception):
    """Report a request that cannot be carried out, with what to do (``mend``)."""

    def __init__(self, message: str, mend: str, file: str = "", line: int | None = None) -> None:
        super().__init__(message)
        self.mend, self.file, self.line = mend, file, line


@dataclass(frozen=True)
class Request:
    """Hold what the client asks for.

    Attributes:
        source: where the function stands; see `CaseSource`.
        framework: ``torch``, ``jax``, or None to find out.
        folder: the user's working folder.
        budget: seconds for everything.
        phases, ways: those to measure; None for the usual ones.
        results: folder that keeps the run; None to keep none.
        document: file to write.
        seed: of random numbers and of the order of blocks.
        launches: processes for each framework; None for as many as fit into the budget.
        command: ``compare``; ``flow``, which examines the case and times nothing; or ``check``,
            which observes its training step.
        steps: training steps to observe.
    """

    source: CaseSource
    framework: str | None
    folder: str
    budget: float
    phases: tuple[str, ...] | None
    ways: tuple[str, ...] | None
    results: Path | None
    document: Path
    seed: int
    launches: int | None
    command: str = COMPARE
    steps: int = STEPS

    @property
    def file(self) -> str:
        """Return the user's file, or the module, as far as it is known before it is imported."""
        source = self.source
        if "file" in source:
            return str(Path(self.folder, source["file"]))
        return source.get("module") or source.get("pickle", "")

    @property
    def name(self) -> str:
        """Return a short name of the case: ``file.py:function``, of a pickle the function alone.

        Typed in the user's folder, it names the case. Of a file whose functions are looked for, it
        is the file alone.
        """
        function = self.source.get("function")
        if "pickle" in self.source:
            return function or DEFAULT_FUNCTION
        file = Path(self.file)
        is_below = "file" in self.source and file.is_relative_to(self.folder)
        place = str(file.relative_to(self.folder) if is_below else file)
        return f"{place}:{function}" if function else place


def read(path: Path) -> Request:
    """Return the request in a JSON file.

    Raises:
        RequestError: it is no request, or asks for what does not exist.
    """
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        return _checked(fields)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RequestError(
            f"{path} is no request: {type(error).__name__}: {error}",
            "use cascade-bench try, or cascade_bench.compare, which write it",
        ) from None


def _checked(fields: dict[str, Any]) -> Request:
    """Return the request that this JSON object is."""
    if fields["schema"] != SCHEMA:
        raise RequestError(
            f"the request is of schema {fields['schema']}, this suite reads {SCHEMA}",
            "install the client and the suite in the same version",
        )
    command, framework = fields.get("command") or COMPARE, fields.get("framework")
    _check_names("command", [command], (COMPARE, FLOW, CHECK))
    _check_names("framework", [framework] if framework else [], FRAMEWORKS)
    phases, ways = fields.get("phases"), fields.get("ways")
    _check_names("phase", phases or [], PHASES)
    every = {n for table in (STRATEGIES, RECIPES) for names in table.values() for n in names}
    _check_names("way", ways or [], tuple(sorted(every)))
    budget, launches = float(fields.get("budget_seconds") or BUDGET), fields.get("launches")
    if not 1 <= budget <= 86400 or (launches is not None and not 1 <= launches <= 100):
        raise RequestError(
            f"a budget of {budget:g} s and {launches} launches", "give 1 to 86400 s, 1 to 100"
        )
    steps = fields.get("steps") or STEPS
    if not isinstance(steps, int) or not 2 <= steps <= MOST_STEPS:
        raise RequestError(f"{steps!r} steps", f"give 2 to {MOST_STEPS}: momentum needs a second")
    seed = int(fields.get("seed") or 0)
    if not 0 <= seed <= MOST_SEED:
        raise RequestError(f"a seed of {seed}", f"give 0 to {MOST_SEED}")
    return Request(
        source=fields["case"],
        framework=framework,
        folder=fields["folder"],
        budget=budget,
        phases=tuple(phases) if phases else None,
        ways=tuple(ways) if ways else None,
        results=Path(fields["results"]) if fields.get("results") else None,
        document=Path(fields["document"]),
        seed=seed,
        launches=launches,
        command=command,
        steps=steps,
    )


def _check_names(field: str, names: list[str], allowed: tuple[str, ...]) -> None:
    """Raise `RequestError` for a name that is not known."""
    for name in names:
        if name not in allowed:
            near = difflib.get_close_matches(name, allowed, 1)
            hint = f"did you mean {near[0]}? There are" if near else "write one of"
            raise RequestError(f"no {field} {name!r}", f"{hint} {', '.join(allowed)}")


def sources(request: Request) -> dict[str, CaseSource]:
    """Return framework → the function to measure; both where one file has a case for each.

    Nothing of the user's is imported: the file's text tells.

    Raises:
        RequestError: the file cannot be read, or the framework cannot be told.
    """
    text, file = _text(request)
    functions, imported = _read_source(text, file)
    source, selected = request.source, request.framework
    both = {f: n for f, n in FUNCTIONS.items() if n in functions}
    named = source.get("function")
    if both and (named in (None, DEFAULT_FUNCTION)) and DEFAULT_FUNCTION not in functions:
        chosen = {f: n for f, n in both.items() if selected in (None, f)}
        if chosen:
            return {f: {**source, "function": name} for f, name in chosen.items()}
    for framework, name in FUNCTIONS.items():
        if named == name and selected is None:
            return {framework: source}
    return {selected or _framework(imported, file): source}


def _framework(imported: set[str], file: str) -> str:
    """Return the framework whose packages a file imports."""
    imported_frameworks = [name for name, packages in IMPORTS.items() if packages & imported]
    if len(imported_frameworks) != 1:
        which = "both frameworks" if imported_frameworks else "neither framework"
        raise RequestError(
            f"the file imports packages of {which}",
            "import torch or jax at its top, or give --framework torch or --framework jax "
            "(framework= in Python)"
            if not imported_frameworks
            else "give --framework torch or --framework jax (framework= in Python)",
            file,
        )
    return imported_frameworks[0]


def _text(request: Request) -> tuple[bytes, str]:
    """Return the source text of the user's module and its file; of a pickle what it imports.

    The text is not decoded: Python's own parser knows byte order marks and declared encodings.
    """
    source = request.source
    if "pickle" in source:
        raw = Path(source["pickle"]).read_bytes()
        words = [name for names in IMPORTS.values() for name in names if name.encode() in raw]
        return "\n".join(f"import {word}" for word in words).encode(), source["pickle"]
    file = Path(request.file)
    if "module" in source:
        file = _module_file(source["module"], request.folder)
    try:
        return file.read_bytes(), str(file)
    except OSError as error:
        raise RequestError(
            f"cannot be read: {error}", "give the path of a Python file", str(file)
        ) from None


def _module_file(module: str, folder: str) -> Path:
    """Return the source file of a module, below the user's folder or installed."""
    below = Path(folder, *module.split("."))
    for file in (below.with_suffix(".py"), below / "__init__.py"):
        if file.is_file():
            return file
    module_spec = _installed_spec(module)
    if module_spec is None or not module_spec.origin:
        raise RequestError(
            f"no module {module!r}", "run from the folder that holds it, or give a file", module
        )
    return Path(module_spec.origin)


def _installed_spec(module: str) -> ModuleSpec | None:
    """Return where a module is installed; the packages around it are not imported for that."""
    name, *others = module.split(".")
    try:
        module_spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return None
    for other in others:
        if module_spec is None or module_spec.submodule_search_locations is None:
            return None
        name, folders = f"{name}.{other}", list(module_spec.submodule_search_locations)
        found = (finder.find_spec(name, folders) for finder in sys.meta_path)
        module_spec = next(filter(None, found), None)
    return module_spec


def line_of(source: CaseSource, folder: str) -> int | None:
    """Return the line at which the user's function, or what has its name, is defined.

    It is read off the text, so that it is known where the code has ended its process. None where
    the text does not tell.
    """
    name = source.get("function") or DEFAULT_FUNCTION
    try:
        path = Path(folder, source["file"]) if "file" in source else None
        tree = ast.parse((path or _module_file(source["module"], folder)).read_bytes())
    except (OSError, ValueError, KeyError, SyntaxError, RequestError):
        return None
    lines = [node.lineno for node in _top_level(tree.body) if name in _defined(node)]
    return lines[-1] if lines else None


def _top_level(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """Yield the statements at the top of a file, also those below ``if``, ``try`` and ``with``."""
    for node in body:
        yield node
        if isinstance(node, ast.If | ast.Try | ast.With):
            for field in ("body", "orelse", "finalbody"):
                yield from _top_level(getattr(node, field, ()))
            for handler in getattr(node, "handlers", ()):
                yield from _top_level(handler.body)


def _defined(node: ast.stmt) -> list[str]:
    """Return the names that a statement at the top of a file defines, imports or assigns."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return [node.name]
    if isinstance(node, ast.ImportFrom):
        return [alias.asname or alias.name for alias in node.names]
    targets: list[ast.expr] = node.targets if isinstance(node, ast.Assign) else []
    targets = [node.target] if isinstance(node, ast.AnnAssign) else targets
    return [target.id for target in targets if isinstance(target, ast.Name)]


def _read_source(text: bytes, file: str) -> tuple[set[str], set[str]]:
    """Return the names of the functions that a source text defines, and of what it imports."""
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        raise RequestError(
            f"SyntaxError: {error.msg}", "mend this line", file, error.lineno
        ) from None
    functions = {name for node in _top_level(tree.body) for name in _defined(node)}
    imported: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            imported.add(node.module.partition(".")[0])
    return functions, imported
