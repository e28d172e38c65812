"""A machine's identity stays the same under any load, and changes with all that changes times."""

from __future__ import annotations

import os
import platform
from pathlib import Path
from typing import Any

import pytest

from benchmarks.machine import activity, environment
from benchmarks.machine.host import Host
from tests.helpers.fake_machines import CPU, FILES, NOTHING, PROCESS, SLICE, gpu, host
from tests.helpers.git_repositories import git

CARD = {"nvidia-smi": gpu()}
GIB = 2**30


libraries = environment._libraries


@pytest.fixture(autouse=True)
def _no_libraries(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        environment, "_libraries", dict
    )  # reading all packages' metadata takes time


def identity(root: Path, files: Any = NOTHING, **changes: Any) -> str:
    """Return the id of a made-up machine with one GPU."""
    machine = environment.describe(host(root, files, **{"programs": CARD} | changes))
    return str(machine["id"])


def cpuinfo(**changes: str) -> dict[str, str]:
    """Return ``/proc/cpuinfo`` with texts replaced."""
    text = FILES["proc/cpuinfo"]
    for old, new in changes.items():
        assert old in text
        text = text.replace(old, new)
    return {"proc/cpuinfo": text}


@pytest.mark.parametrize(
    ("files", "changes"),
    [
        ({"proc/loadavg": "9.0 8.0 7.0 5/100 4243"}, {}),
        ({"proc/cpuinfo": FILES["proc/cpuinfo"].replace("3000.0", "1200.5")}, {}),
        ({f"{CPU}/cpu0/cpufreq/scaling_cur_freq": "800000"}, {}),
        ({f"{CPU}/cpu0/cpufreq/scaling_governor": "powersave"}, {}),
        ({f"{CPU}/intel_pstate/no_turbo": "0"}, {}),
        ({"proc/meminfo": "MemTotal: 33554432 kB\nMemAvailable: 9 kB"}, {}),
        ({}, {"programs": CARD | {"git": "abcdef"}}),
        ({}, {"programs": {"nvidia-smi": gpu(clock=1980, busy=90, processes=PROCESS)}}),
        ({}, {"environ": {"XLA_FLAGS": "--xla_dump_to=/tmp/one"}}),
        ({}, {"environ": {"CUDA_VISIBLE_DEVICES": "0"}}),
        ({}, {"environ": {"HOSTNAME": "another"}}),
    ],
)
def test_identity_is_the_same_whatever_goes_on(tmp_path: Path, files: Any, changes: Any) -> None:
    assert identity(tmp_path / "a") == identity(tmp_path / "b", files, **changes)


def test_identity_is_the_same_on_other_cpus_of_the_same_kind(tmp_path: Path) -> None:
    one, other = (identity(tmp_path / str(n), cpus={n, n + 1}) for n in (0, 2))
    assert one == other


def test_identity_does_not_depend_on_the_order_of_flags(tmp_path: Path) -> None:
    flags = ("--xla_a=1 --xla_b=2", "--xla_b=2  --xla_dump_to=x --xla_a=1")
    one, other = (identity(tmp_path / f[6], environ={"XLA_FLAGS": f}) for f in flags)
    assert one == other


@pytest.mark.parametrize(
    ("files", "changes"),
    [
        (cpuinfo(**{"A CPU": "Another CPU"}), {}),
        (cpuinfo(**{"stepping\t: 8": "stepping\t: 9"}), {}),
        (cpuinfo(avx512f=""), {}),
        ({f"{CPU}/online": "0-7"}, {}),
        ({}, {"cpus": {0, 1}}),
        ({f"{CPU}/cpu{n}/topology/thread_siblings_list": f"{n // 2}" for n in range(4)}, {}),
        ({"sys/devices/cpu_atom/cpus": "2-3"}, {}),
        ({"sys/fs/cgroup/a.slice/cpu.max": "150000 100000"}, {}),
        ({}, {"programs": {"nvidia-smi": gpu(name="Another GPU")}}),
        ({}, {"programs": {"nvidia-smi": gpu(driver="580.2")}}),
        ({}, {"programs": {"nvidia-smi": gpu(slices=SLICE)}}),
        ({}, {"environ": {"CUDA_VISIBLE_DEVICES": ""}}),
        ({}, {"environ": {"OMP_NUM_THREADS": "2"}}),
        ({}, {"environ": {"NPROC": "2"}}),
        ({}, {"environ": {"XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false"}}),
        ({}, {"environ": {"NVIDIA_TF32_OVERRIDE": "1"}}),
    ],
)
def test_identity_is_another_where_times_would_be(tmp_path: Path, files: Any, changes: Any) -> None:
    assert identity(tmp_path / "a") != identity(tmp_path / "b", files, **changes)


@pytest.mark.parametrize("package", [*environment.PACKAGES, "python", "nvidia-cudnn-cu12"])
def test_identity_is_another_with_another_version(
    tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = identity(tmp_path)
    installed = environment.installed
    monkeypatch.setattr(environment, "installed", lambda p: "9.9" if p == package else installed(p))
    if package == "python":
        monkeypatch.setattr(platform, "python_version", lambda: "3.99.0")
    if package.startswith("nvidia"):
        monkeypatch.setattr(environment, "_libraries", lambda: {package: "9.9"})
    assert identity(tmp_path) != before


def test_libraries_that_frameworks_bring_along_are_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, version in (("nvidia_cudnn_cu12", "9.1"), ("another_one", "1.0")):
        folder = tmp_path / f"{name}-{version}.dist-info"
        folder.mkdir()
        (folder / "METADATA").write_text(f"Name: {name}\nVersion: {version}\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    versions = libraries()
    assert versions["nvidia-cudnn-cu12"] == "9.1"
    assert "another-one" not in versions


def test_what_is_stable_is_named_and_what_is_null_has_its_reason(tmp_path: Path) -> None:
    machine = environment.describe(host(tmp_path))
    assert machine["id"] == environment.identity(machine)
    assert set(machine["stable"]) <= set(machine)
    nulls = {name for name, value in machine.items() if value is None}
    assert nulls == set(machine["missing"])
    assert {"gpu", "driver", "quota_cpus", "on_battery", "commit"} <= nulls
    assert machine["usable"] == {"cpus": 4, "cores": 4, "kinds": {}}
    assert machine["instructions"] == ["avx", "avx2", "fma", "avx512f"]


def test_runs_and_reports_are_no_change_of_the_code(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(environment, "ROOT", tmp_path)
    git(tmp_path, "init", "-q", "-b", "main")
    for name in ("results/reference/report.md", "results/terminal/run_page.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    (tmp_path / "results" / "reference" / "report.md").unlink()
    (tmp_path / "results" / "runs").mkdir()
    (tmp_path / "results" / "runs" / "new.json").write_text("")
    commit = environment._commit(Host())
    assert (len(commit["commit"]), commit["dirty"]) == (40, False)
    (tmp_path / "results" / "show.py").write_text("changed\n")
    assert environment._commit(Host())["dirty"] is True


def test_without_proc_and_affinity_all_is_null_and_nothing_raises(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "sched_getaffinity", raising=False)
    bare = Host(tmp_path, {}, lambda _: None)
    machine = environment.describe(bare)
    assert machine["usable"] == {"cpus": os.cpu_count(), "cores": None, "kinds": {}}
    assert {"load", "memory_bytes", "virtual", "governor"} <= set(machine["missing"])
    assert activity.processes(bare) is None
    assert set(activity.counters(bare).values()) == {None}


def test_arm_cores_are_told_apart_by_their_numbers(tmp_path: Path) -> None:
    block = "processor : {n}\nFeatures : fp asimd sve\nCPU implementer : 0x41\nCPU part : {part}\n"
    text = "\n".join(block.format(n=n, part="0xd40" if n < 1 else "0xd0c") for n in range(4))
    machine = environment.describe(host(tmp_path, {"proc/cpuinfo": text}))
    assert machine["cpu"] == "ARM implementer 0x41 part 0xd0c + ARM implementer 0x41 part 0xd40"
    assert machine["usable"]["kinds"] == {"0xd0c": 3, "0xd40": 1}
    assert machine["instructions"] == ["asimd", "sve"]


@pytest.mark.parametrize(
    ("files", "quota"),
    [
        ({"sys/fs/cgroup/a.slice/b.scope/cpu.max": "max 100000"}, None),
        ({"sys/fs/cgroup/cpu.max": "300000 100000"}, 3.0),
        (
            {
                "sys/fs/cgroup/a.slice/b.scope/cpu.max": "350000 100000",
                "sys/fs/cgroup/a.slice/cpu.max": "250000 100000",
            },
            2.5,
        ),
        (
            {
                "proc/self/cgroup": "3:memory:/m\n2:cpu,cpuacct:/docker/abc\n1:cpuset:/x",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_quota_us": "50000",
                "sys/fs/cgroup/cpu,cpuacct/cpu.cfs_period_us": "100000",
            },
            0.5,
        ),
        (
            {
                "proc/self/cgroup": "2:cpu:/",
                "sys/fs/cgroup/cpu/cpu.cfs_quota_us": "-1",
                "sys/fs/cgroup/cpu/cpu.cfs_period_us": "100000",
            },
            None,
        ),
    ],
)
def test_quota_is_the_tightest_on_the_way_up(
    tmp_path: Path, files: dict[str, str], quota: float | None
) -> None:
    assert environment.describe(host(tmp_path, files))["quota_cpus"] == quota


V1 = "sys/fs/cgroup/memory"


@pytest.mark.parametrize(
    ("files", "total", "free"),
    [
        ({"sys/fs/cgroup/a.slice/memory.max": "max"}, 32 * GIB, 30_000_000 * 2**10),
        (
            {
                "sys/fs/cgroup/a.slice/memory.max": str(4 * GIB),
                "sys/fs/cgroup/a.slice/memory.current": str(3 * GIB),
                "sys/fs/cgroup/a.slice/memory.stat": f"anon 7\ninactive_file {GIB}\nslab 9",
                "sys/fs/cgroup/a.slice/b.scope/memory.max": str(8 * GIB),
                "sys/fs/cgroup/a.slice/b.scope/memory.current": str(GIB),
            },
            4 * GIB,
            2 * GIB,
        ),
        (
            {
                "proc/self/cgroup": "4:memory:/docker/abc\n2:cpu:/docker/abc",
                f"{V1}/memory.limit_in_bytes": str(2 * GIB),
                f"{V1}/memory.usage_in_bytes": str(GIB),
                f"{V1}/docker/abc/memory.limit_in_bytes": "9223372036854771712",
                f"{V1}/docker/abc/memory.usage_in_bytes": str(GIB),
            },
            2 * GIB,
            GIB,
        ),
        (
            {"sys/fs/cgroup/memory.max": str(GIB), "sys/fs/cgroup/memory.current": str(2 * GIB)},
            GIB,
            0,
        ),
        (
            {
                "sys/fs/cgroup/memory.max": str(64 * GIB),
                "sys/fs/cgroup/memory.current": "0",
                "proc/meminfo": None,
            },
            64 * GIB,
            64 * GIB,
        ),
    ],
)
def test_memory_is_what_the_limit_of_a_container_leaves(
    tmp_path: Path, files: dict[str, str | None], total: int, free: int
) -> None:
    found = activity.memory(host(tmp_path, files))
    assert (found["memory_bytes"], found["memory_available_bytes"]) == (total, free)


def test_gpu_that_nvidia_smi_cannot_tell_is_read_from_the_driver(tmp_path: Path) -> None:
    version = "NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  570.1  Release Build"
    files = {
        "proc/driver/nvidia/version": version,
        "proc/driver/nvidia/gpus/0000:01:00.0/information": "Model: \t\t A GPU\nGPU UUID: GPU-1234",
    }
    assert identity(tmp_path / "a") == identity(tmp_path / "b", files, programs={})
    assert identity(tmp_path / "c", programs={}) != identity(tmp_path / "a")


def test_record_holds_no_name_of_another_program(tmp_path: Path) -> None:
    card = {"nvidia-smi": gpu(processes=PROCESS)}
    machine = environment.describe(host(tmp_path, programs=card))
    assert machine["gpu_state"][0]["processes"] == 1
    assert "train" not in str(machine)
    assert "GPU-1234" not in str(machine)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("Name:\tx\nVmHWM:\t    2000 kB\nVmRSS:\t 1000 kB", 2_048_000),
        ("Name:\tx\nVmRSS:\t 1000 kB", None),
        ("VmHWM:", None),
        (None, None),
    ],
)
def test_memory_of_a_process_is_read_in_bytes(
    tmp_path: Path, status: str | None, expected: int | None
) -> None:
    machine = host(tmp_path, {"proc/7/status": status})
    assert activity.process_memory(machine, 7, "VmHWM") == expected
