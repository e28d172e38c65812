"""Faults of measuring in several ranks: what is reduced, what is judged, whose time counts."""

from __future__ import annotations

from tests.mutations.fault import Fault

PROTOCOL, PROGRAM, PROCESSES = (
    "benchmarks/harness/protocol/ranks.py",
    "benchmarks/harness/ranks/rank_program.py",
    "benchmarks/harness/ranks/processes.py",
)
FAULTY = "tests/integration/test_rank_faults.py"
RANKS = "tests/unit/harness/protocol/test_ranks.py"
LIVE = "tests/integration/test_ranks.py::test_gradients_of_every_rank_are_those_of_one_process"

FAULTS = (
    Fault(
        "first_rank_judged_alone",
        PROGRAM,
        '    for rank, verdict in enumerate(verdicts):\n        if verdict["equivalence"]',
        '    for rank, verdict in enumerate(verdicts[:1]):\n        if verdict["equivalence"]',
        "the other ranks train by wrong gradients, and their cell gets a time",
        (f"{FAULTY}::test_fault_in_one_rank_is_typed_and_the_other_cells_are_timed",),
    ),
    Fault(
        "ranks_that_drift_apart_not_noticed",
        PROGRAM,
        '        if verdict["digest"] != verdicts[0]["digest"]:\n',
        '        if verdict["digest"] is None:\n',
        "each rank has a gradient within the bounds, and no two the same",
        (f"{FAULTY}::test_fault_in_one_rank_is_typed_and_the_other_cells_are_timed",),
    ),
    Fault(
        "bytes_that_were_not_reduced_not_noticed",
        PROGRAM,
        "        if should is None or should == did:\n",
        "        if should is None or should >= did:\n",
        "where every row of a batch is alike, a gradient that is never reduced is right as well",
        (f"{FAULTY}::test_fault_in_one_rank_is_typed_and_the_other_cells_are_timed",),
    ),
    Fault(
        "fastest_rank_counts",
        PROGRAM,
        "sum(map(max, zip(*by_process, strict=True)))",
        "sum(map(min, zip(*by_process, strict=True)))",
        "a call is over when its first rank is done",
        ("tests/unit/harness/test_rank_program.py::test_slowest_rank_s_time_counts_call_by_call",),
    ),
    Fault(
        "rank_that_hangs_waited_for",
        PROCESSES,
        "wait(futures, return_when=FIRST_EXCEPTION)",
        "wait(futures, return_when=ALL_COMPLETED)",
        "one rank has failed, and the others wait for it until the cell's limit",
        (f"{FAULTY}::test_rank_that_others_wait_for_in_vain_is_named",),
    ),
    Fault(
        "silently_wrong_way_measured",
        PROTOCOL,
        '    if strategy == "separate_retained" and again:\n',
        '    if strategy == "separate_retained" and again and wrapper == "ddp_one":\n',
        "a way that drives the ranks apart is among those that are timed",
        (f"{RANKS}::test_what_cannot_work_or_is_silently_wrong_is_declared",),
    ),
    Fault(
        "each_pass_predicted_once",
        PROTOCOL,
        'REDUCING_IN_EACH_PASS = ("separate_retained", "reforward", "sharded_jit/separate_grad")',
        'REDUCING_IN_EACH_PASS = ("separate_retained", "sharded_jit/separate_grad")',
        "the bytes of a second pass are forgotten in what is predicted",
        (f"{RANKS}::test_bytes_reduced_are_those_of_each_network_that_a_pass_reaches",),
    ),
    Fault(
        "share_of_the_first_rank_for_all",
        "impl_torch/distributed.py",
        "    return tensor.chunk(ranks)[rank].contiguous()\n",
        "    return tensor.chunk(ranks)[0].contiguous()\n",
        "every rank has the same share, and the rest of the batch is left out",
        (LIVE,),
    ),
)
