"""Measure every strategy in two real ranks: torch behind DDP or FSDP2, JAX on two devices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from benchmarks.harness.launches.launch import Launch
from benchmarks.harness.launches.pool import Pool
from benchmarks.harness.launches.problems import ProblemFiles
from benchmarks.harness.launches.worker_errors import WorkerFailed
from benchmarks.harness.measurement.group import measure_group
from benchmarks.harness.protocol import ranks
from benchmarks.harness.protocol.cells import Cell
from benchmarks.harness.session.recording import record_measurement
from results.records.record import finish
from results.records.validation import RECORD
from tests.helpers.fake_framework import JOB

MODES = [(f, ranks.mode_name(w, 2)) for f, wrappers in ranks.WRAPPERS.items() for w in wrappers]
PLACES = [(v, "gradient") for v in ("n2", "n4", "frozen_net1", "frozen_net2")]
PLACES += [(v, "step") for v in ("n2", "frozen_net1")]
QUICK = ("summed", "reforward")  # of each framework in the fast tier


@pytest.fixture(scope="module")
def pool() -> Iterator[Pool]:
    with Pool() as pool:
        yield pool


def measured(pool: Pool, cells: list[Cell], seconds: float = 0.0) -> dict[str, Any]:
    """Return strategy → outcome of cells of one group, in one launch."""
    one = cells[0]
    job: Any = JOB | {
        "kind": one.kind, "scenario": one.scenario, "variant": one.variant, "size": one.size,
        "framework": one.framework, "references": [one.framework], "mode": one.mode,
        "phase": one.phase, "strategies": [cell.strategy for cell in cells], "launches": 1,
        "seconds": seconds, "limit": 120.0,
    }  # fmt: skip
    return dict(measure_group(job, pool)["cells"])


def cells_of(
    framework: str,
    mode: str,
    variant: str,
    phase: str,
    names: Any,
    scenario: str = "stacked_cascade",
) -> list[Cell]:
    fields = ("distributed", scenario, variant, "seed", framework, mode)
    cells = [Cell(*fields, name, phase, "cpu") for name in names]
    return [cell for cell in cells if cell.unsupported_reason() is None]


def assert_right(cells: list[Cell], outcomes: dict[str, Any]) -> None:
    """Assert that every cell passed the gate, and reduced and gathered what it must."""
    for cell in cells:
        outcome = outcomes[cell.strategy]
        assert outcome["outcome"] == "ok", (cell, outcome["why"])
        counts = outcome["figures"]["communication"]
        assert counts["reduced_bytes"] == counts["predicted_bytes"] > 0
        assert counts["reductions"] >= 1
        assert counts["ranks"] == 2
        sharded = cell.mode.startswith(ranks.SHARDING)
        assert ("gathered_bytes" in counts) == sharded
        if sharded:
            assert counts["gathered_bytes"] == counts["predicted_gathered_bytes"] > 0
            assert counts["gatherings"] >= 1


@pytest.mark.parametrize(
    ("framework", "mode", "more"),
    [
        ("torch", "ddp_each_x2", ()),
        ("torch", "fsdp_each_x2", ("reforward_no_sync",)),
        ("jax", "shard_map_x2", ()),
    ],
)
def test_gradients_of_every_rank_are_those_of_one_process(
    pool: Pool, framework: str, mode: str, more: tuple[str, ...]
) -> None:
    cells = cells_of(framework, mode, "n2", "gradient", (*QUICK, *more))
    outcomes = measured(pool, cells, seconds=0.01)
    assert_right(cells, outcomes)
    twice, once = (outcomes[n]["figures"]["communication"] for n in reversed(QUICK))
    assert twice["reduced_bytes"] == 1.5 * once["reduced_bytes"]  # net1, net2, and net1 again
    record = finish(record_measurement(cells[0], outcomes["summed"], 1.0))
    assert record["communication"] == once
    assert RECORD(record, "record") is None
    assert record["missing"]["peak_bytes"]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "variant", "phase"),
    [(mode, *place) for mode in MODES for place in PLACES],
)
def test_every_strategy_is_right_in_every_wrapper(
    pool: Pool, mode: tuple[str, str], variant: str, phase: str
) -> None:
    cells = cells_of(*mode, variant, phase, ranks.STRATEGIES[mode[0]])
    assert cells
    assert_right(cells, measured(pool, cells))


@pytest.mark.slow
def test_rows_that_ranks_do_not_divide_are_filled_up(pool: Pool) -> None:
    """Networks of one Linear layer of 3: three rows of weights on two ranks are sent as four."""
    names = ranks.STRATEGIES["torch"]
    cells = cells_of("torch", "fsdp_each_x2", "-", "gradient", names, "linear_cascade")
    outcomes = measured(pool, cells)
    assert len(cells) == len(names)
    assert_right(cells, outcomes)
    assert outcomes["summed"]["figures"]["communication"]["reduced_bytes"] == 2 * (4 * 3 + 4) * 4


@pytest.mark.slow
def test_sharded_ranks_compute_and_save_what_whole_ones_do_and_hold_half_the_state(
    pool: Pool,
) -> None:
    whole, sharded = (
        measured(pool, cells_of("torch", mode, "n2", "step", ["summed"]))["summed"]["figures"]
        for mode in ("ddp_each_x2", "fsdp_each_x2")
    )
    for count in ("flops", "residual_bytes"):
        assert sharded[count] == whole[count] > 0
    # the counters of Adam's steps are on every rank
    assert 0.5 <= sharded["optimizer_state_bytes"] / whole["optimizer_state_bytes"] < 0.51


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mode", "strategy", "declared"),
    [
        ("ddp_one_x2", "separate_retained", ranks.READY_TWICE),
        ("ddp_one_x2", "reforward", ranks.UNFINISHED),
        ("ddp_each_x2", "separate_retained", ranks.NOT_REDUCED),
    ],
)
def test_what_is_declared_not_to_work_does_not(
    pool: Pool, mode: str, strategy: str, declared: str
) -> None:
    cell = Cell("distributed", "stacked_cascade", "n2", "seed", "torch", mode, strategy,
                "gradient", "cpu")  # fmt: skip
    assert cell.unsupported_reason() == declared
    outcome = measured(pool, [cell])[strategy]
    if declared is ranks.NOT_REDUCED:
        assert outcome["outcome"] == "wrong_gradients"
        assert outcome["why"].startswith("rank 0: net1")
    else:
        assert outcome["outcome"] == "crashed"
        assert declared.split('"')[1] in outcome["why"]


@pytest.mark.slow
@pytest.mark.parametrize("framework", ["torch", "jax"])
def test_batch_that_cannot_be_shared_out_is_unsupported(framework: str) -> None:
    wrapper = ranks.WRAPPERS[framework][0]
    files, launch = (
        ProblemFiles("linear_cascade", "-", "seed"),
        Launch(framework, module="benchmarks.harness.ranks"),
    )
    try:
        files.open_in(launch)
        with pytest.raises(WorkerFailed, match="a batch of 2 cannot be shared equally by 3") as one:
            launch.ask("gradients", kind="distributed", name="summed", phase="gradient",
                       mode=f"{wrapper}_x3", out="-")  # fmt: skip
        assert one.value.outcome == "unsupported"
    finally:
        launch.kill()
        files.close()
