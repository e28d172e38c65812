"""Make Markdown of declared TypedDicts: a section and a table of keys for each.

The meaning of a key is the comment behind it in the source, so that page and code cannot differ.
"""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from types import ModuleType
from typing import Any, NotRequired, get_origin, get_type_hints, is_typeddict

MODULE_NAMES = re.compile(r"\b(?:typing|[a-z_]+(?:\.[a-z_]+)+)\.(?=[A-Z])")


@dataclass(frozen=True)
class Declarations:
    """Show the TypedDicts that some modules declare.

    Attributes:
        modules: their classes are shown in the order of their files.
        prefix: stands before the name of a class in its heading, such as ``"Run: "``.
        placeholders: names of classes that stand for nothing, and are shown as a dash.
    """

    modules: tuple[ModuleType, ...]
    prefix: str = ""
    placeholders: tuple[str, ...] = ()

    @cached_property
    def types(self) -> list[type]:
        """Return every TypedDict of the modules that has keys."""
        nodes = (node for node in self._tree.body if isinstance(node, ast.ClassDef))
        classes = (self._declared(node.name) for node in nodes)
        return [one for one in classes if is_typeddict(one) and get_type_hints(one)]

    @cached_property
    def comments(self) -> dict[tuple[str, str], str]:
        """Return (class, key) → the comment behind the key, empty where it has none."""
        lines = self._source.splitlines()
        return {
            (node.name, entry.target.id): lines[entry.lineno - 1].partition("  # ")[2]
            for node in self._tree.body
            if isinstance(node, ast.ClassDef) and is_typeddict(self._declared(node.name))
            for entry in node.body
            if isinstance(entry, ast.AnnAssign) and isinstance(entry.target, ast.Name)
        }

    def sections(self) -> str:
        """Return a section for each type: heading, docstring, and a table of its keys."""
        return "\n\n".join(map(self._section, self.types))

    def linked(self, kind: Any) -> str:
        """Return a type as code, linked to the section of the first of `types` in it."""
        text = kind.__name__ if isinstance(kind, type) and get_origin(kind) is None else str(kind)
        text = MODULE_NAMES.sub("", text)
        if text in self.placeholders:
            return "–"
        known = [one.__name__ for one in self.types if re.search(rf"\b{one.__name__}\b", text)]
        code = f"`{text}`".replace("|", "\\|")
        return f"[{code}](#{self._anchor(known[0])})" if known else code

    def _anchor(self, name: str) -> str:
        """Return the anchor of a type's heading, as GitHub and the site make it."""
        return re.sub(r"[^\w\- ]", "", (self.prefix + name).lower()).replace(" ", "-")

    def _section(self, declared: type) -> str:
        """Return a heading, the docstring and a table of the keys, those of the bases first."""
        rows = "\n".join(self._rows(declared))
        text = (inspect.getdoc(declared) or "").replace("``", "`")
        heading = f"### {self.prefix}{declared.__name__}"
        return f"{heading}\n\n{text}\n\n| key | type | meaning |\n|---|---|---|\n{rows}"

    def _rows(self, declared: type) -> Iterator[str]:
        """Yield the rows of a Markdown table about the keys of a type."""
        for name, kind in get_type_hints(declared, include_extras=True).items():
            bases = self._with_bases(declared.__name__)
            about = next(self.comments[one, name] for one in bases if (one, name) in self.comments)
            optional = get_origin(kind) is NotRequired or not declared.__total__  # type: ignore[attr-defined]
            kind = kind.__args__[0] if get_origin(kind) is NotRequired else kind
            text = ", ".join(filter(None, ("*optional*" if optional else "", about)))
            yield f"| `{name}` | {self.linked(kind)} | {text} |"

    @cached_property
    def _source(self) -> str:
        """Return the text of the modules, one behind the other."""
        return "\n".join(inspect.getsource(module) for module in self.modules)

    @cached_property
    def _tree(self) -> ast.Module:
        """Return the syntax tree of the modules, one behind the other."""
        return ast.parse(self._source)

    def _declared(self, name: str) -> type:
        """Return the class of this name in one of the modules."""
        cls: type = next(getattr(one, name) for one in self.modules if hasattr(one, name))
        return cls

    def _with_bases(self, name: str) -> Iterator[str]:
        """Yield the names of a class and of its bases that the modules declare."""
        yield name
        node = next(n for n in self._tree.body if isinstance(n, ast.ClassDef) and n.name == name)
        for base in node.bases:
            if isinstance(base, ast.Name) and base.id != "TypedDict":
                yield from self._with_bases(base.id)
