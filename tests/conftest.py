"""Fixtures for the tests of the harness itself."""

from __future__ import annotations

import signal
import tempfile
from collections.abc import Iterator
from contextlib import nullcontext

import pytest

from benchmarks.harness.launches import reference_store, session_workers
from benchmarks.harness.launches.check_workers import CheckWorkers
from benchmarks.machine.environment import installed
from tests.helpers.fake_framework import Measure, fake_framework
from tests.helpers.jax_cache import programs_from_the_check_cache


@pytest.fixture(autouse=True, scope="session")
def temporary_folder_of_its_own(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep a session that a test starts from waiting for other runs on this machine.

    Nor does it take float64 references over from sessions that somebody has run here.
    """
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(reference_store.VARIABLE, "off")
        patch.setenv("TMPDIR", str(tmp_path_factory.mktemp("tmp")))
        patch.setattr(tempfile, "tempdir", None)
        yield


@pytest.fixture(autouse=True, scope="session")
def interrupts_are_heard() -> Iterator[None]:
    """Have processes that a test starts hear Ctrl-C also where the tests run in the background.

    A shell lets what it starts with ``&`` ignore it, and a process hands that on to its children.
    """
    before = signal.getsignal(signal.SIGINT)
    if before is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.fixture(scope="session")
def workers(request: pytest.FixtureRequest) -> CheckWorkers:
    """Return the workers of the checks in ``benchmarks/``: to start one takes over a second."""
    return session_workers.of_session(request.config)


@pytest.fixture(scope="module")
def stored_programs() -> Iterator[None]:
    """Have tests that use JAX in this process compile nothing that an earlier run has compiled."""
    with programs_from_the_check_cache() if installed("jax") else nullcontext():
        yield


@pytest.fixture(scope="module")
def shared() -> Iterator[Measure]:
    """Measure as `measured` does, in workers that the tests of a file share.

    One that dies in a test is replaced in the next.
    """
    with pytest.MonkeyPatch.context() as patch, fake_framework(patch) as pool:
        yield Measure(pool)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> Iterator[Measure]:
    """Measure strategies of the fake framework in workers that end with the test."""
    with fake_framework(monkeypatch) as pool:
        yield Measure(pool)
