"""The site: it builds strictly, says what the pages say, needs no other host, and finds words."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from benchmarks.paths import ROOT
from tests.helpers import browser

pytest.importorskip(
    "material", reason="the site is built by mkdocs-material: pip install -e .[site]"
)
from markdown_it import MarkdownIt

from benchmarks.evaluation import site_hooks

COUNTED = ("h1", "h2", "h3", "li", "table", "tr", "pre", "img")
WIDTHS = (1280, 375)


def build(folder: Path, cwd: Path = ROOT, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)],
        cwd=cwd, env={**os.environ, **variables}, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The site, in a folder; without the address of a repository."""
    folder: Path = tmp_path_factory.mktemp("site")
    done = build(folder, SOURCE_URL="")
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


class Article(HTMLParser):
    """Count the elements of a page's article."""

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.inside |= tag == "article"
        self.counts[tag] += self.inside

    def handle_endtag(self, tag: str) -> None:
        self.inside &= tag != "article"


def pages() -> Iterator[tuple[str, Path]]:
    """Yield the name of each page in the site, and the file that it is made of."""
    for source, page in site_hooks.PAGES.items():
        yield page.replace(".md", ".html"), ROOT / source
    for path in (ROOT / "docs").glob("*.md"):
        yield f"{path.stem}.html", path


def test_each_page_has_the_headings_lists_tables_and_code_of_its_markdown(site: Path) -> None:
    """GitHub shows CommonMark; what mkdocs reads differs in lists, tables and escapes."""
    common = MarkdownIt("commonmark").enable("table")
    for name, source in pages():
        wanted, got = Counter(re.findall(r"<(\w+)", common.render(source.read_text()))), Article()
        got.feed((site / name).read_text())
        shown = {tag: (got.counts[tag], wanted[tag]) for tag in COUNTED}
        assert all(one == other for one, other in shown.values()), (name, shown)


def test_every_page_of_docs_is_in_the_navigation(site: Path) -> None:
    listed = (site / "index.html").read_text().partition("md-nav--primary")[2]
    for name, _ in pages():
        assert f'href="{name}"' in listed, name


def test_files_beside_docs_are_copied_where_no_repository_is_known(site: Path) -> None:
    copied = site / "source" / "impl_torch" / "cascade.py.html"
    assert "def conv_cascade" in copied.read_text()
    assert 'href="source/impl_torch/cascade.py.html"' in (site / "scenarios.html").read_text()
    assert (site / "results" / "reference" / "report.html").is_file()


def test_links_and_anchors_that_lead_nowhere_end_the_build(tmp_path: Path) -> None:
    for path in ROOT.iterdir():
        if path.name not in (".git", ".venv", "build", "README.md", "mkdocs.yml"):
            (tmp_path / path.name).symlink_to(path)
    hooks = (ROOT / "benchmarks" / "evaluation" / "site_hooks.py").read_text()
    (tmp_path / "hooks.py").write_text(hooks.replace("parents[2]", "parents[0]"))
    settings = (ROOT / "mkdocs.yml").read_text()
    (tmp_path / "mkdocs.yml").write_text(
        settings.replace("benchmarks/evaluation/site_hooks.py", "hooks.py")
    )
    broken = [
        "docs/nowhere.md",
        "docs/faults.md#nowhere",
        "impl_torch/nowhere.py",
        "../elsewhere.py",
    ]
    links = "\n".join(f"[a]({link})" for link in broken)
    (tmp_path / "README.md").write_text(f"{(ROOT / 'README.md').read_text()}\n{links}\n")
    done = build(tmp_path / "site", cwd=tmp_path, SOURCE_URL="")
    assert done.returncode == 1
    for said in (
        "a link 'nowhere.md'",
        "a link 'faults.md#nowhere'",
        "README.md links impl_torch/nowhere.py, which is not there",
        "README.md links ../elsewhere.py, which is not there",
    ):
        assert said in done.stderr
    assert done.stderr.count("WARNING -") == 6  # mkdocs names the last two itself as well


@pytest.mark.smoke
def test_links_that_leave_docs_lead_to_the_repository_where_it_is_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert site_hooks.linked("../impl_jax/case.py", "docs/a.md") == "impl_jax/case.py"
    assert site_hooks.place("docs/usage.md", "index.md") == "usage.md"
    assert site_hooks.place("README.md", "usage.md") == "index.md"
    monkeypatch.delenv("SOURCE_URL", raising=False)
    assert site_hooks.place("impl_jax/case.py", "a.md") == "source/impl_jax/case.py.html"
    monkeypatch.setenv("SOURCE_URL", "https://host/o/n/blob/c/")
    assert (
        site_hooks.place("impl_jax/case.py", "a.md") == "https://host/o/n/blob/c/impl_jax/case.py"
    )
    assert site_hooks.place("results/x.svg", "a.md") == "results/x.svg"


@pytest.mark.smoke
def test_code_is_left_as_it_is() -> None:
    changed = site_hooks.outside_code(
        "a `a` a\n```\na\n```\na", lambda text: text.replace("a", "b")
    )
    assert changed == "b `a` b\n```\na\n```\nb"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with browser.started() as started:
        yield started


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", WIDTHS)
def test_no_page_asks_another_host_or_is_wider_than_the_window(
    site: Path, chromium: Any, width: int, scheme: Any
) -> None:
    context = chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)
    page, asked = context.new_page(), []
    page.on("request", lambda request: asked.append(request.url))
    for name, _ in pages():
        page.goto((site / name).as_uri())
        assert page.evaluate("document.documentElement.scrollWidth") == width, name
    context.close()
    assert len(asked) > 20
    assert [url for url in asked if not url.startswith(("file:", "data:", "blob:"))] == []


def test_search_finds_a_pasted_error_without_a_network(site: Path, chromium: Any) -> None:
    context = chromium.new_context(offline=True, viewport={"width": 1280, "height": 900})
    page = context.new_page()
    page.goto((site / "index.html").as_uri())
    page.fill(".md-search__input", "modified by an inplace operation")
    page.wait_for_selector(".md-search-result__link", state="attached", timeout=30_000)
    links = page.eval_on_selector_all(".md-search-result__link", "all => all.map(a => a.href)")
    context.close()
    assert any("errors.html" in link for link in links[:3]), links[:5]
