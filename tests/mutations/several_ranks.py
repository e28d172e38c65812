"""Faults of measuring in several ranks: what is reduced, what is judged, whose time counts."""

from __future__ import annotations

from tests.mutations.fault import Fault

PROTOCOL, TRAFFIC, PROGRAM, PROCESSES = (
    "benchmarks/harness/protocol/ranks.py",
    "benchmarks/harness/protocol/traffic.py",
    "benchmarks/harness/ranks/rank_program.py",
    "benchmarks/harness/ranks/processes.py",
)
FAULTY = "tests/integration/test_rank_faults.py"
RANKS = "tests/unit/harness/protocol/test_ranks.py"
TRAFFIC_TEST = "tests/unit/harness/protocol/test_traffic.py"
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
        'should != (reduced := counted["reduced_bytes"])',
        'should < (reduced := counted["reduced_bytes"])',
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
        TRAFFIC,
        'REDUCING_IN_EACH_PASS = ("separate_retained", "reforward", "sharded_jit/separate_grad")',
        'REDUCING_IN_EACH_PASS = ("separate_retained", "sharded_jit/separate_grad")',
        "the bytes of a second pass are forgotten in what is predicted",
        (f"{RANKS}::test_bytes_reduced_are_those_of_each_network_that_a_pass_reaches",),
    ),
    Fault(
        "gathered_bytes_not_judged",
        PROGRAM,
        'should != (gathered := counted.get("gathered_bytes"))',
        'should is None and (gathered := counted.get("gathered_bytes"))',
        "sharded parameters are gathered more often than they must be, and nobody notices",
        ("tests/unit/harness/test_rank_program.py::test_bytes_that_are_not_those_predicted_fail",),
    ),
    Fault(
        "gathered_again_in_every_pass",
        TRAFFIC,
        "if network not in unsharded]",
        "if network]",
        "parameters that a forward pass has gathered count again in the backward pass behind it",
        (f"{TRAFFIC_TEST}::test_bytes_gathered_are_those_of_networks_that_are_not_whole",),
    ),
    Fault(
        "rows_not_filled_up",
        TRAFFIC,
        "math.ceil(rows / ranks) * ranks * math.prod(rest)",
        "rows * math.prod(rest)",
        "three rows on two ranks are sent as four, and the fourth is forgotten",
        (f"{TRAFFIC_TEST}::test_rows_are_filled_up_where_ranks_do_not_divide_them",),
    ),
    Fault(
        "sharded_networks_reduce_in_every_pass",
        "impl_torch/distributed.py",
        "set_requires_gradient_sync(last.get(stage.name, name) == name)",
        "set_requires_gradient_sync(True)",
        "what is to reduce once reduces in each pass, with the right gradients",
        (LIVE,),
        narrow="fsdp",
    ),
    Fault(
        "part_of_a_rank_judged_as_the_whole",
        "impl_torch/rank_programs.py",
        "t.full_tensor() if isinstance(t, DTensor)",
        "t.to_local() if isinstance(t, DTensor)",
        "the gradients of one rank's rows are taken for those of all",
        (LIVE,),
        narrow="fsdp",
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
