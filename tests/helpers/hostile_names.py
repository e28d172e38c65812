"""Names that a run file may hold, and that must have no effect on a terminal or a page."""

from __future__ import annotations

# texts that would change a page of a report if they were not escaped
HOSTILE = [
    "<script>alert(1)</script>", "</script><img src=x onerror=alert(1)>", 'a"b\'c', "x" * 300,
    "\N{ARABIC LETTER ALEF}\N{ARABIC LETTER BEH}", "[red]{{ 7*7 }}|x`",
]  # fmt: skip
# description → text that would disturb a terminal if it were printed as it is
NAMES = {
    "markup": "[red]x[/red]",
    "a closing tag": "[/]",
    "a page's tag": "<script>alert(1)</script>",
    "a colour": "\x1b[31mred\x1b[0m",
    "a title": "\x1b]0;owned\x07",
    "a cursor": "\x1b[2J\x1b[1;1H",
    "a C1 code": "\x9b31mred",
    "quotes": "\"'`\\",
    "lines": "one\ntwo\r\nthree\u2028four\x85five",
    "tabs and NUL": "a\tb\x00c\bd",
    "long": "x" * 300,
    "wide": "网络" * 150,
    "accents": "e" + "\N{COMBINING ACUTE ACCENT}" * 300,
    "Arabic": "اختبار",
    "Hebrew": "מבחן",
    "an override": "\u202etxt.exe\u2066",
    "half a pair": "\ud83d",
    "a family": "👩\u200d👩\u200d👧" * 30,
    "a formula": "=1+1",
}
