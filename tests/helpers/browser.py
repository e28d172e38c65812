"""The system's Chromium, driven by playwright: which requests a page made, what it said."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")


def chromium() -> str:
    """Where it is; skips the test, with the reason, where there is none."""
    found = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not found:
        pytest.skip("no Chromium on this system (Debian: apt install chromium; or set CHROMIUM)")
    pytest.importorskip(
        "playwright", reason="playwright drives the browser: pip install playwright"
    )
    return found


@dataclass
class Seen:
    """A page that is ready, what it requested beside itself, and what its console said."""

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def started() -> Iterator[Any]:
    """A browser for as many pages as are wanted."""
    executable = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield found
        found.close()


@contextmanager
def opened(browser: Any, path: Path, **context: Any) -> Iterator[Seen]:
    """The file in a fresh context with no network, its charts drawn.

    ``context`` is playwright's: ``viewport``, ``color_scheme``, ``java_script_enabled``.
    """
    inside = browser.new_context(offline=True, **context)
    page = inside.new_page()
    seen = Seen(page)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda said: _note(seen, said))
    page.goto(path.resolve().as_uri())
    if context.get("java_script_enabled", True):
        page.wait_for_selector("body[data-ready=yes]", timeout=60_000)
    yield seen
    inside.close()


def _note(seen: Seen, said: Any) -> None:
    if said.type in ("error", "warning"):
        seen.errors.append(said.text)
