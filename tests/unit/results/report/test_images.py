"""Charts are drawn in processes that Ctrl-C does not reach: the command alone says that it ends."""

from __future__ import annotations

import os
import signal
import time

import pytest

from results.report import images


def test_processes_that_draw_leave_ctrl_c_to_the_one_that_waits(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "vega_scripts", os.getpid)  # which takes no seconds
    before = signal.pthread_sigmask(signal.SIG_BLOCK, ())
    with images.ChartRenderer() as renderer:
        asked = renderer._submit(signal.pthread_sigmask, signal.SIG_BLOCK, ())
        assert signal.SIGINT in asked.result(timeout=60)
        assert int(renderer.scripts.result()) != os.getpid()
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == before


def test_what_is_still_drawn_ends_where_the_command_is_stopped(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(images, "vega_scripts", os.getpid)
    renderer = images.ChartRenderer()
    process = renderer.scripts.result(timeout=60)
    renderer._submit(time.sleep, 60.0)
    start = time.monotonic()
    renderer.__exit__(KeyboardInterrupt)
    assert time.monotonic() - start < 30.0
    with pytest.raises(ProcessLookupError):
        os.kill(int(process), 0)
