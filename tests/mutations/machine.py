"""Faults of the description of the machine, of its disturbances, and of the memory gauge."""

from __future__ import annotations

from tests.mutations.fault import Fault

ENVIRONMENT, PROCESSOR = "benchmarks/machine/environment.py", "benchmarks/machine/processor.py"
GRAPHICS, ACTIVITY = "benchmarks/machine/graphics.py", "benchmarks/machine/activity.py"
DISTURBANCES = "benchmarks/machine/disturbances.py"
PROCESS_MEMORY, PEAK = (
    "benchmarks/harness/worker/process_memory.py",
    "benchmarks/harness/worker/memory.py",
)
KNOWN_BY, MEMORY = "tests/unit/machine/test_environment.py", "tests/integration/test_peak_memory.py"
SAME = f"{KNOWN_BY}::test_identity_is_the_same_whatever_goes_on"
ANOTHER = f"{KNOWN_BY}::test_identity_is_another_where_times_would_be"
FLAGS = f"{KNOWN_BY}::test_identity_does_not_depend_on_the_order_of_flags"
DISTURBED = "tests/unit/machine/test_disturbances.py::test_disturbance_is_seen_with_what_to_do"
BUSIEST = (
    "tests/unit/machine/test_disturbances.py::test_busiest_processes_are_named_and_ours_are_not"
)
READ_RIGHT = f"{MEMORY}::test_memory_of_known_size_is_read_right"
CANNOT_RESET = f"{MEMORY}::test_gauge_that_cannot_be_reset_sees_one_call_and_nothing_before_it"
ELSEWHERE = "tests/integration/test_without_linux.py"

FAULTS = (
    Fault(
        "instructions_left_out_of_the_identity",
        ENVIRONMENT,
        '"cpu_revision", "instructions", "cores",',
        '"cpu_revision", "cores",',
        "a hypervisor hides AVX-512, and times of two machines are mixed",
        (ANOTHER,),
    ),
    Fault(
        "identity_by_the_flags_as_typed",
        ENVIRONMENT,
        '    stable["threads"] = stable["threads"] | '
        '{"XLA_FLAGS": xla_flags(stable["threads"]["XLA_FLAGS"])}\n',
        "",
        "the same flags in another order are another machine",
        (FLAGS,),
    ),
    Fault(
        "folder_of_a_dump_in_the_identity",
        ENVIRONMENT,
        " if not name.startswith(XLA_WRITES)}",
        "}",
        "where XLA writes what it compiled makes another machine of it",
        (SAME, FLAGS),
    ),
    Fault(
        "identity_by_the_numbers_of_the_cpus",
        PROCESSOR,
        '"cpus": len(cpus),',
        '"cpus": cpus,',
        "the scheduler gives other CPUs of the same kind, and nothing can be compared",
        (f"{KNOWN_BY}::test_identity_is_the_same_on_other_cpus_of_the_same_kind",),
    ),
    Fault(
        "two_threads_of_a_core_are_two_cores",
        PROCESSOR,
        "return None if None in groups else len(groups)",
        "return None if None in groups else len(cpus)",
        "four threads of two cores are taken for four cores",
        (ANOTHER, DISTURBED),
    ),
    Fault(
        "nearest_quota_for_the_tightest",
        "benchmarks/machine/cgroup.py",
        "return min(quotas, default=None)",
        "return quotas[0] if quotas else None",
        "a limit that is set on the group above is not seen",
        (f"{KNOWN_BY}::test_quota_is_the_tightest_on_the_way_up",),
    ),
    Fault(
        "hidden_gpu_counted",
        GRAPHICS,
        "    if chosen is None:\n        return cards\n",
        "    if not chosen:\n        return cards\n",
        "an empty CUDA_VISIBLE_DEVICES hides every GPU, and is taken for none given",
        (ANOTHER,),
    ),
    Fault(
        "silent_nvidia_smi_taken_for_no_gpu",
        GRAPHICS,
        "return visible(_from_driver(host), host.environ)",
        "return visible([], host.environ)",
        "a session in which nvidia-smi is slow is of another machine",
        (f"{KNOWN_BY}::test_gpu_that_nvidia_smi_cannot_tell_is_read_from_the_driver",),
    ),
    Fault(
        "card_named_in_the_record",
        GRAPHICS,
        'if name not in ("uuid", "processes")}',
        'if name != "processes"}',
        "a record that is published names the very card",
        (f"{KNOWN_BY}::test_record_holds_no_name_of_another_program",),
    ),
    Fault(
        "our_own_workers_called_a_disturbance",
        ACTIVITY,
        "if pid in before and pid not in ours",
        "if pid in before and pid != own",
        "the doctor warns of the processes that it started",
        (BUSIEST,),
    ),
    Fault(
        "whole_command_line_shown",
        ACTIVITY,
        "words = self.command.split()[1:3]",
        "words = self.command.split()[1:]",
        "what somebody typed after a program's name is printed",
        (BUSIEST,),
    ),
    Fault(
        "one_performant_cpu_is_enough",
        DISTURBANCES,
        'if governors == ["performance"]:',
        'if "performance" in governors:',
        "some CPUs follow the load, and nobody is told",
        (DISTURBED,),
    ),
    Fault(
        "forward_pass_counted_into_the_peak",
        PEAK,
        "    carries = [program.prepare()]\n    gauge.reset()\n",
        "    gauge.reset()\n    carries = [program.prepare()]\n",
        "the peak of phase backward is that of the forward pass that builds its graph",
        (READ_RIGHT,),
    ),
    Fault(
        "graph_left_out_of_the_peak",
        PEAK,
        "    before = _settled(gauge)\n    carries = [program.prepare()]\n",
        "    carries = [program.prepare()]\n    before = _settled(gauge)\n",
        "what a strategy keeps for its backward pass costs nothing",
        (READ_RIGHT,),
    ),
    Fault(
        "peak_of_the_whole_process",
        PEAK,
        "    return gauge.peak() - before\n",
        "    return gauge.peak()\n",
        "the framework's own memory is counted as the cell's",
        (READ_RIGHT, CANNOT_RESET),
    ),
    Fault(
        "graph_kept_alive_while_it_is_used",
        PEAK,
        "program.wait(program.run(carries.pop()))",
        "program.wait(program.run(carries[0]))",
        "the harness holds what a backward pass would have freed",
        (READ_RIGHT,),
    ),
    Fault(
        "unresettable_peak_taken_after_other_calls",
        PEAK,
        "calls = WARM_CALLS + READINGS if gauge.resettable else 1",
        "calls = WARM_CALLS + READINGS",
        "the most that any call before it held is shown as this call's",
        (CANNOT_RESET,),
    ),
    Fault(
        "unresolved_peak_shown_as_a_figure",
        PEAK,
        "    if peak < gauge.resolution:\n",
        "    if peak < 0:\n",
        "noise of the kernel's counter, or 0, stands where null should",
        (f"{MEMORY}::test_what_the_counter_does_not_resolve_is_null_with_its_reason",),
    ),
    Fault(
        "hoarding_allocator_believed",
        PEAK,
        "for size in (2 * KNOWN, KNOWN):",
        "for size in (KNOWN,):",
        "memory that was freed and kept hides what is taken of it again",
        (f"{MEMORY}::test_allocator_that_keeps_what_is_freed_is_not_believed",),
    ),
    Fault(
        "address_space_taken_for_memory",
        PROCESS_MEMORY,
        'return _read_bytes("VmHWM")',
        'return _read_bytes("VmPeak")',
        "what was reserved and never touched counts as held",
        (READ_RIGHT,),
    ),
    Fault(
        "kilobytes_of_a_thousand",
        PROCESS_MEMORY,
        "return int(line.split()[1]) * 1024",
        "return int(line.split()[1]) * 1000",
        "the kernel's kB are KiB",
        (f"{MEMORY}::test_system_that_does_not_count_says_so",),
    ),
    Fault(
        "freed_memory_left_to_the_library",
        "benchmarks/harness/measurement/peak_memory.py",
        '{"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}',
        '{"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "1073741824"}',
        "glibc keeps a thread's blocks, and the next call's peak is not seen",
        (READ_RIGHT,),
    ),
    Fault(
        "storage_known_by_an_address_given_out_again",
        "impl_torch/program.py",
        "                storages[storage.data_ptr()] = storage\n"
        "            return tensor\n"
        "\n"
        "        forward = self.forward\n"
        "\n"
        "        def keeping() -> Any:\n"
        "            carry = forward()\n"
        "            for tensor in self.strategy.kept_tensors(carry):  # no hook sees these\n"
        "                pack(tensor)\n"
        "            return carry\n"
        "\n"
        "        self.reset()\n"
        "        self.forward = keeping\n"
        "        try:\n"
        "            with saved_tensors_hooks(pack, lambda tensor: tensor):\n"
        "                self.run(self.prepare())\n"
        "        finally:\n"
        "            self.forward = forward\n"
        "        self.reset()\n"
        "        return sum(storage.nbytes() for storage in storages.values())\n",
        "                storages[storage.data_ptr()] = storage.nbytes()\n"
        "            return tensor\n"
        "\n"
        "        forward = self.forward\n"
        "\n"
        "        def keeping() -> Any:\n"
        "            carry = forward()\n"
        "            for tensor in self.strategy.kept_tensors(carry):  # no hook sees these\n"
        "                pack(tensor)\n"
        "            return carry\n"
        "\n"
        "        self.reset()\n"
        "        self.forward = keeping\n"
        "        try:\n"
        "            with saved_tensors_hooks(pack, lambda tensor: tensor):\n"
        "                self.run(self.prepare())\n"
        "        finally:\n"
        "            self.forward = forward\n"
        "        self.reset()\n"
        "        return sum(storages.values())\n",
        "two graphs that stood at one place, one after the other, are counted once",
        ("benchmarks/test_counts.py::test_what_is_let_go_on_the_way_is_counted_all_the_same",),
    ),
    Fault(
        "counts_of_steps_left_out",
        "impl_torch/optimizers.py",
        "for v in state.values()]",
        "for v in list(state.values())[1:]]",
        "whatever an optimizer keeps first is thought to be its count of steps",
        ("benchmarks/test_counts.py::test_optimizer_keeps_the_bytes_worked_out",),
        narrow="torch",
    ),
    Fault(
        "watcher_that_kills_nothing",
        "benchmarks/harness/protocol/heartbeat.py",
        ' && kill -KILL "-$1"\n',
        "\n",
        "where the kernel sends no signal, workers of a killed session disturb the next one",
        (f"{ELSEWHERE}::test_worker_dies_with_a_parent_that_was_killed",),
    ),
    Fault(
        "file_system_without_locks_unforeseen",
        "benchmarks/harness/session/lock.py",
        "        except OSError as error:\n            os.close(fd)\n",
        "        except OverflowError as error:\n            os.close(fd)\n",
        "on a network's file system a session ends in a traceback about locks",
        (f"{ELSEWHERE}::test_file_system_without_locks_is_said_with_what_to_do",),
    ),
    Fault(
        "end_of_a_worker_taken_from_its_parent",
        "benchmarks/harness/launches/strays.py",
        "system.WEXITED | system.WNOWAIT",
        "system.WEXITED",
        "who waits for a worker's end reaps it, and how it ended is lost",
        (
            f"{ELSEWHERE}::test_end_of_a_process_is_noticed_without_its_descriptor"
            "_and_it_can_still_be_waited_for",
        ),
    ),
    Fault(
        "descriptor_of_a_process_that_the_kernel_refuses",
        "benchmarks/harness/launches/strays.py",
        "        with contextlib.suppress(OSError):\n            return",
        "        if True:\n            return",
        "no worker starts on a kernel before 5.3, or in a container that forbids the call",
        (f"{ELSEWHERE}::test_kernel_that_refuses_a_descriptor_of_a_process_is_asked_otherwise",),
    ),
    Fault(
        "taskset_where_there_is_none",
        "benchmarks/harness/launches/affinity.py",
        '    return ("taskset", "-c", str(core)) if _can_pin() else ()\n',
        '    return "taskset", "-c", str(core)\n',
        "on macOS no worker of a comparison starts",
        (f"{ELSEWHERE}::test_where_nothing_can_be_pinned_workers_run_where_the_system_puts_them",),
    ),
)
