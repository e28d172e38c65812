"""Each disturbance is found on a made-up machine that has it, and on no other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from benchmarks.machine import activity, disturbances, environment, graphics
from benchmarks.machine.disturbances import Finding
from tests.helpers.fake_machines import CPU, FILES, NOTHING, PROCESS, SLICE, gpu, host, process

SWAPPING = "MemTotal: 33554432 kB\nMemAvailable: 30000000 kB\nSwapTotal: 9000000 kB\nSwapFree: 0 kB"
SHORT = "MemTotal: 33554432 kB\nMemAvailable: 2097152 kB\nSwapTotal: 0 kB\nSwapFree: 0 kB"
GUEST = FILES["proc/cpuinfo"].replace("fpu", "fpu hypervisor")
SIBLINGS = {f"{CPU}/cpu{n}/topology/thread_siblings_list": str(n // 2) for n in range(4)}
BATTERY = {"sys/class/power_supply/BAT0/type": "Battery"}


@pytest.fixture(autouse=True)
def _no_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        environment, "_libraries", dict
    )  # reading all packages' metadata takes time


def findings(root: Path, files: Any = NOTHING, **changes: Any) -> dict[str, Finding]:
    """Return the findings of a made-up machine by their names."""
    machine = environment.describe(host(root, files, **changes))
    return {one.name: one for one in disturbances.check_machine(machine)}


def test_quiet_machine_gets_no_warning(tmp_path: Path) -> None:
    results = findings(tmp_path)
    assert {one.state for one in results.values()} == {disturbances.OK}
    assert results["clock governor"].found == "performance"


@pytest.mark.parametrize(
    ("name", "message", "files", "environ"),
    [
        ("clock governor", "powersave", {f"{CPU}/cpu3/cpufreq/scaling_governor": "powersave"}, {}),
        ("turbo", "on", {f"{CPU}/intel_pstate/no_turbo": "0"}, {}),
        ("turbo", "on", {f"{CPU}/intel_pstate/no_turbo": None, f"{CPU}/cpufreq/boost": "1"}, {}),
        ("threads per core", "4 usable CPUs share 2 cores", SIBLINGS, {}),
        ("virtual machine", "yes", {"proc/cpuinfo": GUEST}, {}),
        ("CPU quota", "1.5 CPUs' time on 4", {"sys/fs/cgroup/cpu.max": "150000 100000"}, {}),
        ("isolated CPUs", "2 usable", {f"{CPU}/isolated": "2-3"}, {}),
        ("power", "battery", BATTERY | {"sys/class/power_supply/BAT0/status": "Discharging"}, {}),
        ("load", "1.50", {"proc/loadavg": "1.50 0.1 0.1 2/100 9"}, {}),
        ("memory", "2.0 GiB free", {"proc/meminfo": SHORT}, {}),
        ("swap", "8.6 GiB used", {"proc/meminfo": SWAPPING}, {}),
        ("threads", "OMP_NUM_THREADS=1: overruled", {}, {"OMP_NUM_THREADS": "1"}),
        ("threads", "MKL_NUM_THREADS=8", {}, {"MKL_NUM_THREADS": "8"}),
        ("threads", "NPROC=1 sets JAX's", {}, {"NPROC": "1"}),
        ("waiting threads", "PASSIVE", {}, {"OMP_WAIT_POLICY": "passive"}),
        ("waiting threads", "GOMP_SPINCOUNT=0", {}, {"GOMP_SPINCOUNT": "0"}),
        ("XLA_FLAGS", "threads", {}, {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}),
        ("XLA_FLAGS", "file", {}, {"XLA_FLAGS": "intra_op_parallelism_threads=1"}),
    ],
)
def test_disturbance_is_seen_with_what_to_do(
    tmp_path: Path, name: str, message: str, files: Any, environ: Any
) -> None:
    results = findings(tmp_path, files, environ=environ)
    assert results[name].state == disturbances.WARNING
    assert message in results[name].found
    assert results[name].advice
    assert [one.name for one in results.values() if one.state == "warning"] == [name]


@pytest.mark.parametrize(
    ("name", "files", "changes"),
    [
        ("CPU quota", {"sys/fs/cgroup/cpu.max": "400000 100000"}, {}),
        ("threads", {}, {"environ": {"OMP_NUM_THREADS": "4", "NPROC": "4"}}),
        ("waiting threads", {}, {"environ": {"OMP_WAIT_POLICY": "ACTIVE"}}),
        ("isolated CPUs", {f"{CPU}/isolated": "2-3"}, {"cpus": {0, 1, 2}}),
        ("XLA_FLAGS", {}, {"environ": {"XLA_FLAGS": "--xla_dump_to=x"}}),
        ("threads per core", SIBLINGS, {"cpus": {0, 2}}),
        ("power", BATTERY | {"sys/class/power_supply/BAT0/status": "Charging"}, {}),
        (
            "power",
            BATTERY
            | {
                "sys/class/power_supply/BAT0/scope": "Device",
                "sys/class/power_supply/BAT0/status": "Discharging",
            },
            {},
        ),
    ],
)
def test_what_does_no_harm_is_no_warning(
    tmp_path: Path, name: str, files: Any, changes: Any
) -> None:
    assert findings(tmp_path, files, **changes)[name].state == disturbances.OK


def test_what_cannot_be_seen_is_neither_well_nor_ill(tmp_path: Path) -> None:
    hidden = dict.fromkeys(FILES)
    results = findings(tmp_path, hidden)
    unknown = {name for name, one in results.items() if one.state == disturbances.UNKNOWN}
    assert unknown == {
        "clock governor", "turbo", "threads per core", "virtual machine", "load", "memory", "swap",
    }  # fmt: skip
    assert all(results[name].found for name in unknown)


def test_busiest_processes_are_named_and_ours_are_not(tmp_path: Path) -> None:
    before = (
        process(10, "brows er)", 100) | process(20, "us", 0) | process(21, "child", 0, parent=20)
    )
    after = process(10, "brows er)", 160, command="/usr/bin/browser --tab news secret")
    after |= process(20, "us", 90) | process(21, "child", 90, parent=20) | process(30, "new", 500)
    first = activity.processes(host(tmp_path, before))
    second = activity.processes(host(tmp_path, after))
    assert first is not None
    assert second is not None
    busy = activity.busiest(first, second, 1.0, own=20)
    assert [one.pid for one, _ in busy] == [10]
    assert busy[0][1] == pytest.approx(0.6)
    finding = disturbances.check_processes(busy)
    assert finding.state == disturbances.WARNING
    assert "brows er) --tab news (10) 0.6" in finding.found
    assert "secret" not in finding.found
    assert disturbances.check_processes([(second[10], 0.05)]).state == disturbances.OK
    assert disturbances.check_processes(None).state == disturbances.UNKNOWN


def test_another_session_that_measures_is_seen(tmp_path: Path) -> None:
    worker = "python -m benchmarks.harness.worker --framework torch"
    files = process(50, "pytest", 1) | process(
        60, "editor", 1, command="vi benchmarks/harness/worker/server.py"
    )
    files |= process(51, "python", 1, parent=50, command=worker)
    files |= process(71, "python", 1, parent=70, command=worker)
    files |= process(81, "python", 1, parent=80, command="python -m benchmarks.other.worker")
    table = activity.processes(host(tmp_path, files))
    assert table is not None
    assert activity.other_sessions(table, own=70) == {50: 1, 80: 1}
    finding = disturbances.check_sessions({50: 1, 1: 2})
    assert finding.state == disturbances.WARNING
    assert "process 50 with 1 worker" in finding.found
    assert "2 workers left over" in finding.found
    assert disturbances.check_sessions({}).state == disturbances.OK


@pytest.mark.parametrize(
    ("card", "message"),
    [
        (gpu(capped="Active"), "clock held down now: sw_power_cap"),
        (gpu(capped="Active", reasons="clocks_throttle_reason"), "held down now: sw_power_cap"),
        (gpu(processes=PROCESS), "in use by train (77, C)"),
        (gpu(busy=40), "somebody out of sight, 40 % busy"),
        (gpu(slices=SLICE), "1 MIG slice"),
        (gpu(persistence="Disabled"), "unloaded"),
    ],
)
def test_gpu_that_is_disturbed_is_seen(tmp_path: Path, card: str, message: str) -> None:
    results = list(
        disturbances.check_gpus(graphics.gpus(host(tmp_path, programs={"nvidia-smi": card})))
    )
    warned = [one for one in results if one.state == disturbances.WARNING]
    assert len(warned) == 1
    assert message in warned[0].found
    assert warned[0].advice


def test_quiet_gpu_gets_no_warning_and_a_hint_to_lock_its_clock(tmp_path: Path) -> None:
    cards = graphics.gpus(host(tmp_path, programs={"nvidia-smi": gpu()}))
    results = list(disturbances.check_gpus(cards))
    assert [one.state for one in results] == ["ok", "ok"]
    assert results[0].found == "345 of 1980 MHz now"
    assert "-lgc" in str(results[0].advice)


@pytest.mark.parametrize(
    ("chosen", "visible"),
    [("0", 1), ("GPU-12", 1), ("GPU-99", 0), ("", 0), ("-1", 0), ("1,0", 0), ("0,7", 1)],
)
def test_only_visible_gpus_count(tmp_path: Path, chosen: str, visible: int) -> None:
    environ = {"CUDA_VISIBLE_DEVICES": chosen}
    cards = graphics.gpus(host(tmp_path, environ=environ, programs={"nvidia-smi": gpu()}))
    assert len(cards) == visible


@pytest.mark.parametrize("printed", ["", "no such thing <", "<nvidia_smi_log/>"])
def test_nvidia_smi_that_says_nothing_useful_is_no_gpu(tmp_path: Path, printed: str) -> None:
    assert graphics.gpus(host(tmp_path, programs={"nvidia-smi": printed})) == []


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("time stolen by the host", {"proc/stat": "cpu 100 0 50 950 0 0 0 100 0 0"}),
        ("heat", {f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "3"}),
        ("stopped by the quota", {"sys/fs/cgroup/cpu.stat": "usage_usec 9\nnr_throttled 4"}),
        ("swapping", {"proc/vmstat": "pswpin 5\npswpout 8"}),
    ],
)
def test_what_happened_while_measuring_is_counted(tmp_path: Path, name: str, files: Any) -> None:
    zero = {
        f"{CPU}/cpu1/thermal_throttle/core_throttle_count": "0",
        "sys/fs/cgroup/cpu.stat": "nr_throttled 0",
    }
    before = activity.counters(host(tmp_path, zero))
    quiet = host(tmp_path, zero | {"proc/stat": "cpu 150 0 60 1790 0 0 0 0 0 0"})
    calm = disturbances.check_counters(activity.difference(before, activity.counters(quiet)))
    assert {one.state for one in calm} == {disturbances.OK}
    after = activity.counters(host(tmp_path, files))
    results = disturbances.check_counters(activity.difference(before, after))
    assert next(one for one in results if one.name == name).state == disturbances.WARNING
