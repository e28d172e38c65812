"""Faults of the modes: what is compiled, how that is known, and when it pays."""

from __future__ import annotations

from tests.mutations.fault import Fault

COMPILING, PAYBACK = "impl_torch/compiling.py", "results/estimates/break_even.py"
HERE, PAYS = (
    "tests/integration/test_compiling.py",
    "tests/unit/results/estimates/test_break_even.py",
)
CACHE = f"{HERE}::test_each_program_has_a_cache_and_a_setting_of_its_own"
STAGES = f"{HERE}::test_compile_time_is_known_whole_or_not_at_all"
BY_OPERATION = f"{HERE}::test_jax_operation_by_operation_traces_and_compiles_no_whole"
CALLS = f"{PAYS}::test_payback_is_the_first_call_at_which_the_totals_meet"
ENDS = f"{PAYS}::test_interval_of_the_times_is_that_of_the_calls"
REASONS = f"{PAYS}::test_payback_is_null_with_the_reason"
TWIN = f"{PAYS}::test_twin_differs_in_nothing_but_the_mode"
CELLS = "tests/unit/harness/protocol/test_cells.py"

FAULTS = (
    Fault(
        "compile_cache_shared_by_all_programs",
        "impl_torch/session.py",
        "self.session.cache / sha256(key.encode()).hexdigest()[:16]",
        'self.session.cache / "compiled"',
        "code for donated buffers is found where they are not: silently wrong gradients",
        (CACHE,),
    ),
    Fault(
        "compile_cache_not_claimed",
        COMPILING,
        '        os.environ["TORCHINDUCTOR_CACHE_DIR"] = self.folder\n',
        "",
        "a program's own folder is made and never used",
        (CACHE,),
    ),
    Fault(
        "setting_left_by_the_program_before",
        "impl_torch/program.py",
        "        self.compiler.apply_settings(retains=self.strategy.retains)\n",
        "",
        "a program runs under the setting that its neighbour was compiled with",
        (CACHE,),
    ),
    Fault(
        "graph_that_is_kept_overwritten",
        COMPILING,
        "donated_buffer = not retains",
        "donated_buffer = True",
        "a second backward pass reads what the first one wrote over",
        (CACHE,),
    ),
    Fault(
        "compile_time_of_what_was_found_in_the_cache",
        COMPILING,
        "[getattr(one, name, None) for name in fields]",
        "[getattr(one, name, None) or 0 for name in fields]",
        "what is not told is taken for 0: the trace took it all",
        (STAGES,),
    ),
    Fault(
        "compile_time_with_the_trace_in_it",
        COMPILING,
        "return whole - compiling, compiling",
        "return whole - compiling, whole",
        "the trace is counted twice",
        (STAGES,),
    ),
    Fault(
        "compile_time_after_metrics_were_forgotten",
        COMPILING,
        "if not durations or len(durations) >= METRICS_KEPT or",
        "if not durations or",
        "torch forgets the oldest, and a large program seems to compile faster",
        (STAGES,),
    ),
    Fault(
        "jax_by_operation_compiled_whole",
        "impl_jax/compiling.py",
        '"jit": WholeCompiler, "eager": EagerCompiler}',
        '"jit": WholeCompiler, "eager": WholeCompiler}',
        "both modes are one, and eager is as fast as compiled",
        (BY_OPERATION,),
    ),
    Fault(
        "recompilation_not_noticed",
        "benchmarks/harness/worker/timing.py",
        "            if after != before:\n",
        "            if after < before:\n",
        "seconds of compiling stand among microseconds of running",
        ("tests/integration/test_worker_faults.py::test_fault_is_typed_and_the_group_goes_on",),
        narrow="recompiled",
    ),
    Fault(
        "compiled_modes_measured_by_default",
        "benchmarks/harness/selection/options.py",
        "chosen = (ALL,) if self.everything and self.mode is None else self.mode",
        "chosen = (ALL,) if self.mode is None else self.mode",
        "a default run takes in every mode, and half an hour of compiling",
        (f"{CELLS}::test_other_modes_are_measured_only_where_they_are_asked_for",),
    ),
    Fault(
        "one_graph_thought_to_have_boundaries",
        "benchmarks/harness/protocol/cells.py",
        'joint = NOT_IN_ONE_GRAPH if self.mode == "compile" else {}',
        'joint = NOT_IN_ONE_GRAPH if self.mode == "compile_networks" else {}',
        "what cannot exist is measured, and what can be is left out",
        (f"{CELLS}::test_what_cannot_be_compiled_is_said_beforehand",),
    ),
    Fault(
        "first_call_counted_twice",
        PAYBACK,
        "math.ceil((first - compiled) / (eager - compiled))",
        "math.ceil(first / (eager - compiled))",
        "the first call is one of the calls, and saves as much as any",
        (CALLS,),
    ),
    Fault(
        "pays_one_call_too_early",
        PAYBACK,
        "max(1, math.ceil(",
        "max(1, math.floor(",
        "the totals have not met yet",
        (CALLS,),
    ),
    Fault(
        "payback_between_the_wrong_ends",
        PAYBACK,
        'low=_calls(first, slow["high"], fast["low"]),\n'
        '        high=_calls(first, slow["low"], fast["high"]),',
        'low=_calls(first, slow["low"], fast["low"]),\n'
        '        high=_calls(first, slow["high"], fast["high"]),',
        "lows go with lows, and the interval is too narrow",
        (ENDS,),
    ),
    Fault(
        "pays_though_the_intervals_overlap",
        PAYBACK,
        'if near or fast["high"] >= slow["low"]:',
        "if near:",
        "a number of calls is made of noise",
        (REASONS,),
    ),
    Fault(
        "compiling_that_serves_the_forward_pass_not_seen",
        PAYBACK,
        "    if first < trace + compiling:",
        "    if first < 0:",
        "a phase that times no forward pass pays for compiling it, or does not",
        (REASONS,),
    ),
    Fault(
        "eager_twin_that_failed_compared_with",
        PAYBACK,
        '    if eager["outcome"] != "ok":\n',
        '    if eager["outcome"] is None:\n',
        "a time that was thrown away says when compiling pays",
        (REASONS,),
    ),
    Fault(
        "eager_twin_of_another_strategy",
        PAYBACK,
        'cell_fields(record, without=("mode",))',
        'cell_fields(record, without=("mode", "strategy"))',
        "a cell pays against whatever was measured eagerly",
        (TWIN,),
    ),
)
