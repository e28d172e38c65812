"""Faults of the clock: which calls it surrounds, in which order, and how a sample is computed."""

from __future__ import annotations

from tests.mutations.fault import EQUIVALENCE, Fault

CLOCK, TIMING, WAITING = (
    "tests/unit/harness/worker/test_clock.py",
    "tests/unit/harness/worker/test_timing.py",
    "tests/integration/test_waiting.py",
)
SAMPLE = f"{CLOCK}::test_sample_is_running_and_waiting_a_call_and_nothing_else"
MEAN = f"{CLOCK}::test_sample_is_the_mean_of_its_calls_and_not_one_of_them"
BLOCKS = f"{CLOCK}::test_blocks_hold_one_sample_of_each_in_random_order"
OWN_NAME = f"{CLOCK}::test_every_sample_stands_under_the_name_of_its_own_cell"
COLLECTOR = f"{CLOCK}::test_collector_rests_while_samples_are_taken_and_works_again_after"
SAME_START = f"{TIMING}::test_every_block_begins_at_the_same_start"
COST = f"{EQUIVALENCE}::test_strategies_cost_what_is_predicted"
JAX_WAITS = f"{WAITING}::test_jax_is_waited_for_on_every_output"

FAULTS = (
    Fault(
        "clock_stopped_before_the_wait",
        "benchmarks/harness/worker/clock.py",
        "        wait(run(carries.pop()))\n    return (now() - start) / calls",
        "        result = run(carries.pop())\n"
        "    stop = now()\n"
        "    wait(result)\n"
        "    return (stop - start) / calls",
        "asynchronous calls are timed up to their return, not to their end",
        (SAMPLE,),
    ),
    Fault(
        "only_the_last_call_waited_for",
        "benchmarks/harness/worker/clock.py",
        "        wait(run(carries.pop()))\n    return",
        "        result = run(carries.pop())\n    wait(result)\n    return",
        "the calls of a batch overlap where a framework is asynchronous",
        (SAMPLE,),
    ),
    Fault(
        "graphs_built_inside_the_clock",
        "benchmarks/harness/worker/clock.py",
        "        wait(run(carries.pop()))\n",
        "        wait(run(program.prepare()))\n",
        "a backward pass is timed with its forward pass",
        (SAMPLE,),
    ),
    Fault(
        "clock_started_before_preparing",
        "benchmarks/harness/worker/clock.py",
        "now()\n    for _ in range(calls):\n",
        "now()\n"
        "    carries = [program.prepare() for _ in range(calls)]\n"
        "    for _ in range(calls):\n",
        "a line stands behind the one that starts the clock",
        (SAMPLE,),
    ),
    Fault(
        "batch_not_divided_by_its_calls",
        "benchmarks/harness/worker/clock.py",
        "return (now() - start) / calls",
        "return now() - start",
        "a batch is taken for a call",
        (SAMPLE,),
    ),
    Fault(
        "batch_divided_by_one_call_too_many",
        "benchmarks/harness/worker/clock.py",
        "return (now() - start) / calls",
        "return (now() - start) / (calls + 1)",
        "fence posts are counted",
        (SAMPLE,),
    ),
    Fault(
        "a_sample_is_its_last_call",
        "benchmarks/harness/worker/clock.py",
        "        wait(run(carries.pop()))\n    return (now() - start) / calls",
        "        last = now()\n        wait(run(carries.pop()))\n    return now() - last",
        "a batch tells the time of one call, and an uneven program reads too short or too long",
        (MEAN,),
    ),
    Fault(
        "a_sample_is_its_fastest_call",
        "benchmarks/harness/worker/clock.py",
        "        wait(run(carries.pop()))\n    return (now() - start) / calls",
        "        wait(run(carries.pop()))\n"
        "        fastest = min(now() - start, locals().get('fastest', math.inf))\n"
        "        start = now()\n"
        "    return fastest",
        "the best call of a batch is taken for its mean",
        (MEAN,),
    ),
    Fault(
        "processor_time_for_wall_time",
        "benchmarks/harness/worker/clock.py",
        "program.wait, perf_counter\n",
        "program.wait, process_time\n",
        "waiting costs nothing, and work on two cores counts twice",
        (f"{CLOCK}::test_sleep_of_known_length_is_read_right_and_preparing_is_not_timed",),
    ),
    Fault(
        "reset_inside_the_clock",
        "benchmarks/harness/worker/clock.py",
        "        wait(run(carries.pop()))\n",
        "        program.reset()\n        wait(run(carries.pop()))\n",
        "copying weights back is timed as a part of the step",
        (SAMPLE,),
    ),
    Fault(
        "no_reset_before_a_block",
        "benchmarks/harness/worker/timing.py",
        "            program.reset()\n            return clock.batch(program, calls)",
        "            return clock.batch(program, calls)",
        "a block goes on from wherever the blocks before have led",
        (SAME_START,),
    ),
    Fault(
        "blocks_not_shuffled",
        "benchmarks/harness/worker/clock.py",
        "rng.permutation(len(names))",
        "range(len(names))",
        "the second cell always runs in the caches that the first has filled",
        (BLOCKS,),
    ),
    Fault(
        "blocks_shuffled_once_for_all",
        "benchmarks/harness/worker/clock.py",
        "rng.permutation(len(names))",
        "np.random.default_rng(0).permutation(len(names))",
        "one order for all blocks is no random order",
        (BLOCKS,),
    ),
    Fault(
        "same_order_in_every_launch",
        "benchmarks/harness/worker/timing.py",
        "rng = np.random.default_rng(seed)",
        "rng = np.random.default_rng(seed[0])",
        "what an order costs is the same in every launch, so no interval shows it",
        (f"{TIMING}::test_order_differs_from_launch_to_launch_and_is_the_same_again",),
    ),
    Fault(
        "samples_under_another_cells_name",
        "benchmarks/harness/worker/clock.py",
        "                samples[names[i]].append(timed[names[i]]())\n",
        "                samples[names[int(rng.integers(len(names)))]].append(timed[names[i]]())\n",
        "the order of a block is applied to the calls and not to the names",
        (OWN_NAME,),
    ),
    Fault(
        "collector_left_on",
        "benchmarks/harness/worker/clock.py",
        "    collect()\n    disable()\n",
        "    collect()\n",
        "a collection falls into whichever sample is running",
        (COLLECTOR,),
    ),
    Fault(
        "collector_left_off",
        "benchmarks/harness/worker/clock.py",
        "        yield\n    finally:\n        if was_on:\n            enable()\n",
        "        yield\n    finally:\n        pass\n",
        "a worker's memory grows from the first group on",
        (COLLECTOR,),
    ),
    Fault(
        "collector_left_off_after_a_failure",
        "benchmarks/harness/worker/clock.py",
        "    try:\n        yield\n    finally:\n        if was_on:\n            enable()\n",
        "    yield\n    enable()\n",
        "the collector is switched on again only if all goes well",
        (f"{CLOCK}::test_collector_works_again_after_a_sample_that_failed",),
    ),
    Fault(
        "too_few_blocks",
        "benchmarks/harness/worker/clock.py",
        "while blocks < wanted or",
        "while blocks < wanted and",
        "a slow cell gets a single sample, or none",
        (BLOCKS,),
    ),
    Fault(
        "warm_up_left_out",
        "benchmarks/harness/worker/clock.py",
        "WARM_CALLS, WARM_SECONDS = 3, 0.05",
        "WARM_CALLS, WARM_SECONDS = 1, 0.0",
        "the first samples pay for what happens once",
        (f"{CLOCK}::test_warm_up_calls_at_least_three_times_and_fifty_milliseconds",),
    ),
    Fault(
        "batch_sized_by_the_first_call",
        "benchmarks/harness/worker/clock.py",
        "return Warm(times[-1], is_steady)",
        "return Warm(spent / len(times), is_steady)",
        "the first, slow call makes batches too small",
        (f"{CLOCK}::test_warm_up_tells_the_last_call_and_not_the_first",),
    ),
    Fault(
        "batch_rounded_down",
        "benchmarks/harness/worker/clock.py",
        "math.ceil(BATCH_SECONDS / max(seconds, 1e-7))",
        "int(BATCH_SECONDS / max(seconds, 1e-7))",
        "a sample lasts less than the clock can tell well",
        (f"{CLOCK}::test_batch_lasts_a_millisecond_within_the_memory_set_aside",),
    ),
    Fault(
        "memory_of_waiting_graphs_forgotten",
        "benchmarks/harness/worker/timing.py",
        "clock.batch_size(warm, residual_bytes)",
        "clock.batch_size(warm, None)",
        "a thousand graphs are built before the clock starts",
        (f"{TIMING}::test_batch_holds_no_more_graphs_than_memory_is_set_aside_for",),
    ),
    Fault(
        "peak_taken_from_one_run",
        "benchmarks/harness/worker/timing.py",
        "return min(clock.batch(call, 1) for _ in range(PRODUCT_RUNS))",
        "return clock.batch(call, 1)",
        "what the library did once is taken for what it can do",
        (f"{TIMING}::test_peak_is_the_best_of_three_runs_of_each_product",),
    ),
    Fault(
        "torch_forward_timed_with_the_backward_pass",
        "impl_torch/program.py",
        "        return self.forward()\n\n"
        "    def run(self, carry: Any) -> None:\n"
        '        """Clear the gradients and run the backward pass."""\n'
        "        self._clear()\n",
        "        return None\n\n"
        "    def run(self, carry: Any) -> None:\n"
        '        """Clear the gradients and run the backward pass."""\n'
        "        carry = self.forward()\n"
        "        self._clear()\n",
        "the graph is built where the clock runs",
        (COST,),
        narrow="torch",
    ),
    Fault(
        "torch_waits_for_nothing",
        "impl_torch/program.py",
        "        runtime.synchronize(self.device)\n",
        "        pass\n",
        "kernels are timed up to their launch",
        (f"{WAITING}::test_torch_waits_for_the_device_where_there_is_one_to_wait_for",),
    ),
    Fault(
        "jax_waits_for_nothing",
        "impl_jax/program.py",
        "        runtime.synchronize(result)\n",
        "",
        "JAX returns before it is done",
        (JAX_WAITS,),
    ),
    Fault(
        "jax_waits_for_the_first_output_only",
        "impl_jax/runtime.py",
        "    jax.block_until_ready(outputs)\n",
        "    jax.block_until_ready(jax.tree.leaves(outputs)[0])\n",
        "one output is there, and others of the call are not",
        (JAX_WAITS,),
    ),
    Fault(
        "jax_residuals_still_coming_when_the_clock_starts",
        "impl_jax/program.py",
        "        runtime.synchronize(carry)\n",
        "",
        "the forward pass runs on into the backward pass's time",
        (f"{WAITING}::test_jax_residuals_are_there_before_the_clock_starts",),
    ),
    Fault(
        "jax_recompiles_in_the_loop",
        "impl_jax/compiling.py",
        "        return self.executable(*args)\n",
        "        return self._jitted(*args)\n",
        "another shape or type compiles again, unseen, inside the clock",
        (f"{WAITING}::test_jax_recompilation_cannot_hide_in_a_timed_loop",),
    ),
    Fault(
        "jax_tracing_counted_as_compiling",
        "impl_jax/compiling.py",
        "self.compile_seconds = time.perf_counter() - middle",
        "self.compile_seconds = time.perf_counter() - start",
        "the compile time holds the trace as well",
        (f"{WAITING}::test_jax_tracing_and_compiling_are_told_apart",),
    ),
)
