"""Start a Dask scheduler and workers as processes of their own, and end them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.helpers.fake_sessions import wait_for

QUIET = {"DASK_DISTRIBUTED__ADMIN__TICK__LIMIT": "1h"}  # a busy machine is no news


class DaskCluster:
    """Hold a scheduler and its workers.

    Args:
        folder: of the scheduler's file, the logs and the temporary folders of the workers.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.file = folder, folder / "scheduler.json"
        self.workers: dict[str, subprocess.Popen[bytes]] = {}
        self._scheduler = self._start(
            "scheduler", "--port", "0", "--scheduler-file", str(self.file), "--no-dashboard"
        )

    def _start(
        self, kind: str, *options: str, prefix: tuple[str, ...] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a scheduler or a worker, whose temporary folder is its own."""
        name = options[options.index("--name") + 1] if "--name" in options else kind
        temporary = self.folder / name
        temporary.mkdir(exist_ok=True)
        with (self.folder / f"{name}.log").open("wb") as log:
            return subprocess.Popen(
                [*prefix, sys.executable, "-m", "dask", kind, *options],
                stdout=log,
                stderr=log,
                cwd=temporary,  # nothing of this project is to be found there
                env={**os.environ, **QUIET, "TMPDIR": str(temporary)},
            )

    def start_worker(
        self, name: str, *, threads: int = 1, resources: str = "measure=1", core: int | None = None
    ) -> None:
        """Start a worker; its temporary folder makes it a machine of its own for the lock."""
        wait_for(self._described)
        self.workers[name] = self._start(
            "worker", "--scheduler-file", str(self.file), "--name", name, "--no-nanny",
            "--no-dashboard", "--nthreads", str(threads), "--resources", resources,
            prefix=() if core is None else ("taskset", "-c", str(core)),
        )  # fmt: skip

    @property
    def address(self) -> str:
        """Return the address of the scheduler."""
        wait_for(lambda: self._described().get("address"))
        return str(self._described()["address"])

    def _described(self) -> dict[str, Any]:
        """Return what the scheduler has written into its file; nothing while it still writes."""
        try:
            described: dict[str, Any] = json.loads(self.file.read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return described

    def count_of_workers(self) -> int:
        """Return how many workers the scheduler knows."""
        import distributed

        with distributed.Client(self.address, set_as_default=False) as client:
            return len(client.scheduler_info(n_workers=-1)["workers"])

    def await_workers(self) -> None:
        """Wait until the scheduler knows every worker that was started."""
        wait_for(lambda: self.count_of_workers() == len(self.workers))

    def close(self) -> None:
        """End every process."""
        for process in (*self.workers.values(), self._scheduler):
            process.terminate()
        for process in (*self.workers.values(), self._scheduler):
            try:
                process.wait(20.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
