"""Hooks of mkdocs (``make site``): pages from the root of the clone, and links that leave ``docs``.

The pages are written to be read in the clone too, so that they link files beside ``docs``, which a
site does not have. A link to such a file leads to the repository if ``SOURCE_URL`` is set, and to
a copy of the file within the site otherwise. Files that a browser opens (images, HTML, JSON, CSV,
notebooks) are always copied. A link to a missing file is a warning, which fails a strict build.

Environment:
    SOURCE_URL: where files of the commit can be read, such as
        ``https://github.com/OWNER/NAME/blob/COMMIT``; without it files are copied.
"""

from __future__ import annotations

import html
import os
import posixpath
import re
from collections.abc import Callable, Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.plugins import get_plugin_logger
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
PAGES = {  # a file in the root → the page that it is
    "README.md": "index.md",
    "CONTRIBUTING.md": "contributing.md",
    "CHANGELOG.md": "changelog.md",
    "SECURITY.md": "security.md",
}
AS_IT_IS = (".svg", ".png", ".html", ".json", ".csv", ".ipynb")  # a browser, or a person, opens it
INSTEAD = {"results/reference/report.md": "results/reference/report.html"}
LINK = re.compile(r"(?<=\]\()(?!\w+:|#)([^)#\s]+)(#[^)\s]*)?(?=\))")
CODE = re.compile(r"^```.*?^```$|`[^`\n]+`", re.MULTILINE | re.DOTALL)
ROW = re.compile(r"^\|.*$", re.MULTILINE)  # of a table
COPY = """\
<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>{name}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>:root {{ color-scheme: light dark }} pre {{ overflow: auto }}</style>
</head><body><p><code>{name}</code></p><pre>{text}</pre></body></html>
"""
log = get_plugin_logger(__name__)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the pages of the root, and a copy of every file outside ``docs`` that a page links."""
    sources = {file.src_uri: f"docs/{file.src_uri}" for file in files.documentation_pages()}
    for source, page in PAGES.items():
        text = (ROOT / source).read_text()
        files.append(File.generated(config, page, content=text))
        sources[page] = source
    for path in sorted({path for s in sources.values() for path in _outside(s)}):
        if not os.environ.get("SOURCE_URL") or path.endswith(AS_IT_IS):
            files.append(_copied(path, config))
    return files


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Return the page with the links that leave ``docs`` led to where their files are."""
    sources = {made: source for source, made in PAGES.items()}
    source = sources.get(page.file.src_uri, f"docs/{page.file.src_uri}")
    return outside_code(
        ROW.sub(lambda row: _bars(row[0]), markdown),
        lambda text: LINK.sub(
            lambda m: place(linked(m[1], source), page.file.src_uri) + (m[2] or ""), text
        ),
    )


def linked(link: str, source: str) -> str:
    """Return the path in the clone that a link of a file leads to.

    Args:
        link: as it is written, relative to the file.
        source: the file's path in the clone.
    """
    path = posixpath.normpath(posixpath.join(posixpath.dirname(source), link))
    return INSTEAD.get(path, path)


def place(path: str, page: str) -> str:
    """Return where a page of the site finds a file of the clone, relative to the page.

    Args:
        path: of the file, in the clone.
        page: the page that links it, in the site.
    """
    address = os.environ.get("SOURCE_URL")
    if path in PAGES:
        path = PAGES[path]
    elif path.startswith("docs/"):
        path = path.removeprefix("docs/")
    elif address and not path.endswith(AS_IT_IS):
        return f"{address.rstrip('/')}/{path}"
    else:
        path = _name_of_copy(path)
    return posixpath.relpath(path, posixpath.dirname(page) or ".")


def outside_code(text: str, change: Callable[[str], str]) -> str:
    """Return Markdown with a function applied to all that is no code.

    Args:
        text: Markdown.
        change: takes a part of the text, and returns what to put there.
    """
    parts: list[str] = []
    end = 0
    for code in CODE.finditer(text):
        parts += [change(text[end : code.start()]), code[0]]
        end = code.end()
    return "".join((*parts, change(text[end:])))


def _bars(row: str) -> str:
    """Return a row of a table without the escapes of ``|`` in code, which mkdocs would show."""
    return re.sub(r"`[^`]+`", lambda code: code[0].replace("\\|", "|"), row)


def _outside(source: str) -> Iterator[str]:
    """Yield the path of every file outside ``docs`` that a Markdown file links and that is there.

    One that is not there is a warning, which ends a strict build.
    """
    text = CODE.sub("", (ROOT / source).read_text())
    for link in {match[1] for match in LINK.finditer(text)}:
        path = linked(link, source)
        if path in PAGES or path.startswith("docs/"):
            continue
        if (ROOT / path).exists() and not path.startswith(".."):
            yield path
        else:
            log.warning("%s links %s, which is not there", source, link)


def _name_of_copy(path: str) -> str:
    """Return the path in the site of a copy of a file."""
    return path if path.endswith(AS_IT_IS) else f"source/{path}.html"


def _copied(path: str, config: MkDocsConfig) -> File:
    """Return a file of the clone as one of the site: as it is, or its text as a page."""
    if path.endswith(AS_IT_IS):
        return File.generated(config, path, abs_src_path=str(ROOT / path))
    file = ROOT / path
    text = "\n".join(sorted(p.name for p in file.iterdir())) if file.is_dir() else file.read_text()
    content = COPY.format(name=html.escape(path), text=html.escape(text))
    return File.generated(config, _name_of_copy(path), content=content)
