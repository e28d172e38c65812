"""Open pages in the system's Chromium, and record their requests and console messages."""

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
    """Return the path of Chromium; skip the test if there is none, or no playwright."""
    path = os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, NAMES)), None)
    if not path:
        pytest.skip("no Chromium on this system (Debian: apt install chromium; or set CHROMIUM)")
    pytest.importorskip(
        "playwright", reason="playwright drives the browser: pip install playwright"
    )
    return path


@dataclass
class Seen:
    """Hold an open page, the addresses that it requested, and its errors and warnings."""

    page: Any
    requests: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


@contextmanager
def started() -> Iterator[Any]:
    """Start a browser for any number of pages."""
    executable = chromium()
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        yield browser
        browser.close()


@contextmanager
def opened(browser: Any, path: Path, *, address: str = "", **context: Any) -> Iterator[Seen]:
    """Open a file without a network, and wait until its charts are drawn.

    Args:
        browser: from `started`.
        path: of the page.
        address: of the page with what is chosen in it; by default nothing is.
        context: options of playwright's context: ``viewport``, ``color_scheme``,
            ``java_script_enabled``.
    """
    browser_context = browser.new_context(offline=True, **context)
    page = browser_context.new_page()
    seen = Seen(page)
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("pageerror", lambda error: seen.errors.append(str(error)))
    page.on("console", lambda message: _note(seen, message))
    page.goto(address or path.resolve().as_uri())
    if context.get("java_script_enabled", True):
        page.wait_for_selector("body[data-ready=yes]", timeout=60_000)
    yield seen
    browser_context.close()


def open_folds(page: Any) -> None:
    """Open every fold, and wait until what is behind them is drawn."""
    # thousands of cells on a busy machine take longer than the 30 s of the default
    page.wait_for_selector("body[data-drawn]", timeout=120_000)
    page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")


def _note(seen: Seen, message: Any) -> None:
    if message.type in ("error", "warning"):
        seen.errors.append(message.text)
