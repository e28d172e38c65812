"""Test the page in a real browser: offline, filters, both schemes, narrow, on paper."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from benchmarks.paths import ROOT
from results.report.build import build
from results.report.html import answer_charts_of, html
from results.report.images import render_drawings, vega_scripts
from tests.helpers import browser
from tests.helpers.factories.report_runs import hostile_run, whole_run
from tests.helpers.hostile_names import HOSTILE
from tests.helpers.report_pages import SECTIONS

pytest.importorskip("vl_convert")

PHONE = {"width": 375, "height": 740}


@pytest.fixture(scope="module")
def chrome() -> Iterator[Any]:
    with browser.started() as found:
        yield found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pages")


@pytest.fixture(scope="module")
def page_file(folder: Path) -> Path:
    run = whole_run(scenarios=("stacked_cascade", "conv_cascade"), variants=("n2", "n4"))
    return write_page(folder / "report.html", [run])


@cache
def scripts() -> str:
    return vega_scripts()


def write_page(path: Path, runs: list[Any]) -> Path:
    report = build(runs)
    drawings = render_drawings({chart.name: chart.spec for chart in answer_charts_of(report)})
    path.write_text(html(report, scripts(), drawings))
    return path


@pytest.fixture
def seen(chrome: Any, page_file: Path) -> Iterator[browser.Seen]:
    with browser.opened(chrome, page_file) as page:
        yield page


def test_the_page_sends_no_request_and_has_no_errors(seen: browser.Seen, page_file: Path) -> None:
    assert seen.requests == [page_file.resolve().as_uri()]
    assert seen.errors == []


def test_every_section_is_shown_and_every_chart_drawn(seen: browser.Seen) -> None:
    seen.page.evaluate("document.querySelectorAll('details').forEach((fold) => (fold.open = true))")
    seen.page.wait_for_selector("body[data-drawn]")
    for name in SECTIONS:
        text = seen.page.inner_text(f"section#{name}")
        assert len(text) > 80, name
    charts = seen.page.query_selector_all("[data-chart]")
    assert len(charts) >= 6
    for chart in charts:
        marks = chart.query_selector_all("svg .role-mark path, svg .role-mark line")
        assert marks, chart.get_attribute("data-chart")
        assert chart.bounding_box()["width"] > 500


def test_the_first_screen_holds_the_whole_answer(seen: browser.Seen) -> None:
    assert seen.page.inner_text("h1").startswith("Sum the losses")
    box = seen.page.locator("section.answer").bounding_box()
    assert box
    assert box["y"] + box["height"] <= 800
    drawings = seen.page.locator(".drawing svg")
    assert drawings.count() == seen.page.locator(".panel").count() == 4
    assert drawings.last.bounding_box()["width"] > 400


def test_the_first_screen_of_the_committed_report_ends_within_800_pixels(chrome: Any) -> None:
    page = ROOT / "results" / "reference" / "report.html"
    with browser.opened(chrome, page, viewport={"width": 1280, "height": 800}) as seen:
        bottom = "document.querySelector('.facts').getBoundingClientRect().bottom"
        assert seen.page.evaluate(bottom) <= 800


def test_a_chosen_case_is_shown_alone_and_stands_in_the_address(
    chrome: Any, page_file: Path, seen: browser.Seen
) -> None:
    page = seen.page
    assert page.locator(".case:visible").count() == 1
    page.select_option("select[data-choice=question]", "freezing")
    page.select_option("select[data-choice=framework]", "jax")
    assert page.locator(".case:visible").count() == 1
    shown = page.inner_text(".case:visible")
    assert "optax.partition" in shown
    assert "case-framework=jax" in page.url
    with browser.opened(chrome, page_file, address=page.url) as again:
        assert again.page.inner_text(".case:visible") == shown


def test_hovering_a_mark_shows_its_record(seen: browser.Seen) -> None:
    from playwright.sync_api import TimeoutError as TooLate

    seen.page.wait_for_selector("body[data-drawn]")
    mark = seen.page.locator("#chart-passes svg .mark-symbol.role-mark path").last
    tip = seen.page.locator("#vg-tooltip-element.visible")
    for _ in range(5):  # a chart that is laid out meanwhile moves away under the pointer
        seen.page.mouse.move(0, 0)
        mark.hover(force=True)
        with contextlib.suppress(TooLate):
            tip.wait_for(timeout=2000)
            break
    text = tip.inner_text()
    assert "separate_retained · a pass" in text or "boundary_split · cut" in text
    assert "ratio [interval]" in text


def test_a_filter_hides_rows_and_marks_and_can_be_cleared(seen: browser.Seen) -> None:
    page = seen.page
    browser.open_folds(page)
    rows = "section#passes tbody tr:visible"
    symbols = "#chart-passes svg .mark-symbol.role-mark path"
    before, drawn = page.locator(rows).count(), page.locator(symbols).count()
    page.select_option("select[data-filter=scenario]", "conv_cascade")
    page.wait_for_function(f"document.querySelectorAll({symbols!r}).length < {drawn}")
    chosen = page.locator("section#passes tbody tr[data-scenario=conv_cascade]").count()
    assert 0 < page.locator(rows).count() == chosen < before
    assert "stacked_cascade" not in page.inner_text("section#passes table >> nth=0")
    assert page.locator("#chart-losses").count() == 1
    assert not page.locator("#chart-losses").is_visible()  # it has no mark of this network
    page.click("#clear")
    page.wait_for_selector("#chart-losses", state="visible")
    page.wait_for_function(f"document.querySelectorAll({symbols!r}).length == {drawn}")
    assert page.locator(rows).count() == before


def test_a_chart_behind_a_fold_is_drawn_for_print_and_fills_the_page_when_opened(
    seen: browser.Seen,
) -> None:
    page = seen.page
    page.wait_for_selector("body[data-drawn]")
    folded = page.locator("#chart-freezing-torch-seed")
    assert not folded.is_visible()
    assert folded.locator("svg .mark-symbol.role-mark path").count() > 0
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    for one in ("", " svg"):
        chosen = f"document.querySelector('#chart-freezing-torch-seed{one}')"
        page.wait_for_function(f"{chosen}.getBoundingClientRect().width > 900")


def test_every_chart_has_its_axis_on_the_same_screen(seen: browser.Seen) -> None:
    browser.open_folds(seen.page)
    for name in ("frameworks", "freezing-torch", "freezing-jax"):
        box = seen.page.locator(f"#chart-{name}").bounding_box()
        assert box
        assert box["height"] < 740
        factors = f"#chart-{name} svg .role-axis-label text:text('×1')"
        assert seen.page.locator(factors).count() >= 2  # above the lines and below them


def test_no_table_is_cut_on_a_wide_screen_and_a_narrow_one_says_that_it_goes_on(
    chrome: Any, page_file: Path
) -> None:
    cut = """[...document.querySelectorAll('.scroll')]
        .filter((box) => box.clientWidth && box.scrollWidth > box.clientWidth + 1)"""
    told = f"{cut}.map((box) => !box.previousElementSibling.hidden)"
    with browser.opened(chrome, page_file) as seen:
        browser.open_folds(seen.page)
        assert seen.page.evaluate(f"{cut}.map((box) => box.getAttribute('aria-label'))") == []
        assert seen.page.locator(".hint:visible").count() == 0
    with browser.opened(chrome, page_file, viewport=PHONE) as seen:
        browser.open_folds(seen.page)
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        seen.page.wait_for_selector("section#passes .hint:visible")
        assert set(seen.page.evaluate(told)) == {True}
        first = "section#freezing tbody td:first-child >> nth=0"
        before = seen.page.locator(first).bounding_box()
        seen.page.eval_on_selector("section#freezing .scroll", "box => { box.scrollLeft = 200 }")
        assert before
        assert seen.page.locator(first).bounding_box()["x"] == pytest.approx(before["x"], abs=1)


def test_nothing_of_the_page_covers_the_bar_of_filters(seen: browser.Seen) -> None:
    """The sticky titles of a table would, where its first row has gone behind the bar."""
    covered = """([bar, ...heads]) => heads.flatMap((head) => {
        scrollTo(0, head.getBoundingClientRect().top + scrollY - 10);
        const box = bar.getBoundingClientRect(), steps = [...Array(30).keys()];
        const x = (i) => box.left + (i + 0.5) * box.width / 30;
        return steps.map((i) => document.elementFromPoint(x(i), 12))
            .filter((one) => !bar.contains(one)).map((one) => one.textContent.slice(0, 40));
    })"""
    found = "[...document.querySelectorAll('nav.bar, section > .table thead')]"
    assert seen.page.locator("section > .table thead").count() > 3
    assert seen.page.evaluate(f"({covered})({found})") == []


def test_no_paragraph_of_a_section_is_longer_than_three_lines(seen: browser.Seen) -> None:
    browser.open_folds(seen.page)
    long = seen.page.evaluate("""[...document.querySelectorAll('p, li:not(.facts li), figcaption')]
        .filter((one) => one.getClientRects().length)
        .filter((one) => one.clientHeight / parseFloat(getComputedStyle(one).lineHeight) > 3.2)
        .map((one) => one.textContent.trim().slice(0, 80))""")
    assert long == []


def test_a_click_on_a_mark_chooses_its_network(seen: browser.Seen) -> None:
    seen.page.wait_for_selector("body[data-drawn]")
    seen.page.locator("#chart-passes svg .mark-symbol.role-mark path").last.click(force=True)
    chosen = "document.querySelector('select[data-filter=scenario]').value"
    seen.page.wait_for_function(f"{chosen} != ''")
    assert seen.page.evaluate(chosen) == "conv_cascade"


def test_the_keyboard_reaches_filters_and_contents(seen: browser.Seen) -> None:
    seen.page.keyboard.press("Tab")
    assert seen.page.evaluate("document.activeElement.className") == "skip"
    focused = []
    for _ in range(8):
        seen.page.keyboard.press("Tab")
        focused.append(seen.page.evaluate("document.activeElement.tagName"))
    # the scheme, the facts that lead to sections, and the fields of "your case"
    assert focused == ["BUTTON", *["A"] * 4, *["SELECT"] * 3]


@pytest.mark.parametrize(
    ("scheme", "ground"), [("light", "rgb(255, 255, 255)"), ("dark", "rgb(20, 23, 28)")]
)
def test_the_page_follows_the_scheme_of_the_system(
    chrome: Any, page_file: Path, scheme: str, ground: str
) -> None:
    with browser.opened(chrome, page_file, color_scheme=scheme) as seen:
        colour = "getComputedStyle(document.body).backgroundColor"
        assert seen.page.evaluate(colour) == ground
        label = "#chart-passes svg .role-axis-label text"
        ink = seen.page.eval_on_selector(label, "e => e.getAttribute('fill')")
        assert ink == {"light": "#1c2128", "dark": "#e4e8ee"}[scheme]
        seen.page.click("#scheme")
        assert seen.page.evaluate(colour) != ground
        assert seen.errors == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("page", ["drawn", "committed"])
def test_axe_finds_no_violation_of_wcag_2_1_aa(
    chrome: Any, page_file: Path, page: str, scheme: str
) -> None:
    pytest.importorskip("axe_playwright_python", reason="pip install axe-playwright-python")
    from axe_playwright_python.sync_playwright import Axe

    tags = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
    committed = ROOT / "results" / "reference" / "report.html"
    path = committed if page == "committed" else page_file
    with browser.opened(chrome, path, color_scheme=scheme) as seen:
        seen.page.evaluate("document.querySelectorAll('details').forEach((f) => (f.open = true))")
        # of what passes, axe need describe no more than one element
        options = {"runOnly": {"type": "tag", "values": tags}, "resultTypes": ["violations"]}
        results = Axe().run(seen.page, options=options).response
    assert len(results["passes"]) > 15
    problems = [
        f"{rule['id']}: {node['html'][:120]}"
        for rule in results["violations"]
        for node in rule["nodes"][:5]
    ]
    assert problems == []


def test_on_a_phone_nothing_is_wider_than_the_screen(chrome: Any, page_file: Path) -> None:
    with browser.opened(chrome, page_file, viewport=PHONE) as seen:
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
        for chart in seen.page.query_selector_all("[data-chart] svg"):
            assert (chart.bounding_box() or PHONE)["width"] <= PHONE["width"]
        plots = seen.page.query_selector_all("[data-chart] svg .role-frame.root > g > .background")
        widths = [box["width"] for plot in plots if (box := plot.bounding_box())]
        assert len(widths) >= 6
        assert min(widths) > 110  # the names leave room for what they name
        assert seen.errors == []


def test_on_paper_nothing_is_wider_than_the_page(chrome: Any, page_file: Path) -> None:
    """Paper does not scroll: what is cut there cannot be read at all."""
    paper = {"width": 718, "height": 1047}  # A4 within margins of a centimetre, at 96 dpi
    with browser.opened(chrome, page_file, viewport=paper) as seen:
        seen.page.emulate_media(media="print")
        seen.page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
        assert seen.page.locator("table:visible").count() > 20
        width = "document.documentElement.scrollWidth"
        seen.page.wait_for_function(f"{width} <= {paper['width']}", timeout=10_000)


def test_without_javascript_every_table_is_there(chrome: Any, page_file: Path) -> None:
    with browser.opened(chrome, page_file, java_script_enabled=False) as seen:
        assert "separate_retained" in seen.page.text_content("section#passes")
        seen.page.locator("section#passes summary").first.click()  # a fold needs no script
        seen.page.locator("section#passes summary").nth(1).click()
        assert "separate_retained" in seen.page.inner_text("section#passes table >> nth=0")
        assert seen.page.locator("section#passes tbody tr").count() > 3
        assert seen.page.locator(".drawing svg").count() == 4
        assert seen.page.locator(".case:visible").count() == seen.page.locator(".case").count() > 4


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_runs_no_script_and_widens_no_page(
    chrome: Any, folder: Path, name: str
) -> None:
    path = write_page(folder / "hostile.html", [hostile_run(name)])
    alerts: list[str] = []
    with browser.opened(chrome, path) as seen:
        seen.page.on("dialog", lambda dialog: alerts.append(dialog.message))
        assert seen.page.evaluate("document.documentElement.scrollWidth") <= 1280
        assert seen.page.locator("img").count() == 0
        assert name.split()[0] in seen.page.text_content("section#write")
        assert (alerts, seen.errors) == ([], [])
