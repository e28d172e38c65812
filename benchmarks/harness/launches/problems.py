"""Write the arrays of a problem to files, for all workers that open it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness.launches.drawing import draw_arrays
from benchmarks.harness.launches.float64_references import Float64References, Flows
from benchmarks.harness.launches.launch import ANSWER_SECONDS, Launch
from benchmarks.harness.launches.reference_store import ReferenceStore
from benchmarks.harness.launches.time_outs import TimeOuts
from benchmarks.harness.launches.worker_errors import WorkerTimeout
from benchmarks.harness.protocol import disk
from benchmarks.harness.protocol.arrays import read_arrays, write_arrays
from benchmarks.scenarios import CATALOGUE, Scenario


class ProblemFiles:
    """Draw the weights and data of a problem once, and write them to files for all workers.

    ``references`` computes the problem's float64 references. The folder of the files is removed
    by `close`.

    Args:
        scenario: its name in the catalogue.
        variant: of the scenario.
        size: of the scenario.
        flows: the flows proven so far, of this problem and of others, which several problems may
            share; see `Float64References`.
        limit: seconds that each part of working with a user's own scenario may take: drawing its
            arrays, importing it, building it, its reference. Scenarios of this suite, which need
            time to compile and are known to end, have `ANSWER_SECONDS` at least.
        time_outs: those of the session so far, to which those of this problem are added.
        stored: whether references of this suite's scenarios are taken from, and added to, those
            of earlier sessions; see `reference_store`.

    Raises:
        SpecError: a user's own spec cannot draw the arrays, or not in time.
        DiskError: the temporary folder has no room for the arrays, or cannot be written.
    """

    def __init__(
        self,
        scenario: str,
        variant: str,
        size: str,
        flows: Flows | None = None,
        *,
        limit: float = ANSWER_SECONDS,
        time_outs: TimeOuts | None = None,
        stored: bool = False,
    ) -> None:
        self.spec = CATALOGUE[scenario]
        self.variant, self.size = variant, size
        self.limit = limit if self.spec.file else max(limit, ANSWER_SECONDS)
        self.time_outs = TimeOuts() if time_outs is None else time_outs
        weights, data = draw_arrays(self.spec, variant, size, self.limit, self.time_outs)
        self.problem_spec = self.spec.problem_spec(variant, size)
        with disk.writing(Path(tempfile.gettempdir()) / "-"):
            self._folder = tempfile.TemporaryDirectory(
                prefix="cascade-bench-", ignore_cleanup_errors=True
            )
        self.folder = Path(self._folder.name)
        try:
            write_arrays(self.weights, weights)
            write_arrays(self.data, data)
        except BaseException:
            self.close()  # half-written arrays would take the room that a smaller problem needs
            raise
        keep = stored and self.spec.file is None
        self.references = Float64References(self, flows, ReferenceStore(self) if keep else None)

    @property
    def problem(self) -> tuple[str, str, str]:
        """Return scenario, variant and size."""
        return self.spec.name, self.variant, self.size

    @property
    def place(self) -> tuple[Scenario, str, str]:
        """Return the scenario itself, variant and size."""
        return self.spec, self.variant, self.size

    @property
    def weights(self) -> str:
        """Return the path of the ``.npz`` file of initial weights, parameter or buffer → array."""
        return str(self.folder / "weights.npz")

    @property
    def data(self) -> str:
        """Return the path of the ``.npz`` file of the data, input or target → array."""
        return str(self.folder / "data.npz")

    def open_in(self, launch: Launch, timeout: float | None = None) -> None:
        """Have a worker build the problem and load its weights and data.

        From then on the problem's limit holds for every request to the worker that names none.

        Args:
            launch: the worker.
            timeout: seconds in place of the problem's limit.

        Raises:
            WorkerTimeout: it takes too long, or took too long before in this session.
            WorkerError: it fails.
        """
        known = self.time_outs.find(self.spec, launch.framework)
        if known:
            raise known
        launch.limit = self.limit if timeout is None else timeout
        with self.limited(launch):
            launch.ask("open", facts=self.problem_spec, weights=self.weights, data=self.data)

    @contextmanager
    def limited(self, launch: Launch) -> Iterator[None]:
        """Have a time-out of this problem in a worker name the file, and be remembered."""
        try:
            yield
        except WorkerTimeout as error:
            raise self.time_outs.add(error, self.spec, launch.framework) from None

    def gradients(
        self,
        launch: Launch,
        kind: str,
        name: str,
        phase: str,
        mode: str | None = None,
        *,
        again: bool = False,
    ) -> dict[str, Any]:
        """Run a strategy or recipe in a worker in which the problem is open.

        Args:
            launch: the worker.
            kind: ``backward`` for a strategy, ``freeze`` for a recipe.
            name: of the strategy or recipe.
            phase: ``backward``, ``gradient`` or ``step``.
            mode: how the framework runs it; None for the framework's own mode.
            again: whether to return the results of a second run, as the runs of a timed block
                follow each other.

        Returns:
            ``gradient/…`` of every parameter, and in phase ``step`` ``updated/…``.
        """
        out = str(self.folder / f"gradients-{launch.framework}.npz")
        launch.ask("gradients", kind=kind, name=name, phase=phase, mode=mode, out=out, again=again)
        return read_arrays(out)

    def close(self) -> None:
        """Remove the files."""
        self._folder.cleanup()
