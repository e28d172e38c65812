"""What a session prints at its end about its own time."""

from __future__ import annotations

from benchmarks.harness.session import summary


def test_what_took_no_time_is_left_out_and_the_line_fits_the_terminal() -> None:
    spent = {"starting": 13.2, "canaries": 24.0, "references": 0.1, "timing": 1.4, "memory": 0.0}
    line = summary.time_text(spent, 33.4, 46.0)
    assert line == (
        "time went to: starting 13 s, canaries 24 s, timing 1 s; workers were busy for 33 of 46 s"
    )
    assert len(line) <= 100
    assert summary.time_text({}, 0.0, 9.0) == "workers were busy for 0 of 9 s"
