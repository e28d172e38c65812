"""Make up machines: files under a folder take the place of ``/proc`` and ``/sys``."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.machine.host import Host

NOTHING: Mapping[str, Any] = MappingProxyType({})
CPU = "sys/devices/system/cpu"
BLOCK = (
    "processor\t: {n}\nmodel name\t: A CPU @ 3 GHz\ncpu family\t: 6\nmodel\t: 143\nstepping\t: 8\n"
    "cpu MHz\t: 3000.0\nflags\t: fpu avx avx2 fma avx512f\n"
)
FILES = {
    "proc/cpuinfo": "\n".join(BLOCK.format(n=n) for n in range(4)),
    "proc/meminfo": "MemTotal: 33554432 kB\nMemAvailable: 30000000 kB\nSwapTotal: 0\nSwapFree: 0",
    "proc/loadavg": "0.10 0.20 0.30 1/100 4242",
    "proc/stat": "cpu 100 0 50 850 0 0 0 0 0 0",
    "proc/vmstat": "pswpin 5\npswpout 7",
    "proc/self/cgroup": "0::/a.slice/b.scope",
    f"{CPU}/online": "0-3",
    f"{CPU}/smt/active": "0",
    f"{CPU}/intel_pstate/no_turbo": "1",
    **{f"{CPU}/cpu{n}/topology/thread_siblings_list": str(n) for n in range(4)},
    **{f"{CPU}/cpu{n}/cpufreq/scaling_governor": "performance" for n in range(4)},
    **{f"{CPU}/cpu{n}/cpufreq/scaling_cur_freq": "3000000" for n in range(4)},
}
GPU = """<?xml version="1.0" ?>
<!DOCTYPE nvidia_smi_log SYSTEM "nvsmi_device_v12.dtd">
<nvidia_smi_log>
  <driver_version>{driver}</driver_version>
  <gpu id="00000000:01:00.0">
    <product_name>{name}</product_name>
    <uuid>GPU-1234</uuid>
    <persistence_mode>{persistence}</persistence_mode>
    <mig_devices>{slices}</mig_devices>
    <{reasons}s><{reasons}_gpu_idle>Not Active</{reasons}_gpu_idle>
      <{reasons}_sw_power_cap>{capped}</{reasons}_sw_power_cap></{reasons}s>
    <utilization><gpu_util>{busy} %</gpu_util></utilization>
    <clocks><sm_clock>{clock} MHz</sm_clock></clocks>
    <max_clocks><sm_clock>1980 MHz</sm_clock></max_clocks>
    <processes>{processes}</processes>
  </gpu>
</nvidia_smi_log>"""
SLICE = (
    "<mig_device><device_attributes><shared><multiprocessor_count>16</multiprocessor_count>"
    "</shared></device_attributes><fb_memory_usage><total>18000 MiB</total></fb_memory_usage>"
    "</mig_device>"
)
PROCESS = (
    "<process_info><pid>77</pid><type>C</type><process_name>train</process_name></process_info>"
)


def gpu(**changes: Any) -> str:
    """Return what ``nvidia-smi -q -x`` prints about one card.

    Args:
        changes: fields of `GPU` that differ from those of an idle card.
    """
    standard = {
        "driver": "570.1", "name": "A GPU", "persistence": "Enabled", "slices": "", "busy": 0,
        "reasons": "clocks_event_reason", "capped": "Not Active", "clock": 345, "processes": "",
    }  # fmt: skip
    return GPU.format(**(standard | changes))


def host(
    root: Path,
    files: Mapping[str, str | None] = NOTHING,
    *,
    environ: Mapping[str, str] = NOTHING,
    programs: Mapping[str, str] = NOTHING,
    cpus: Collection[int] = (0, 1, 2, 3),
) -> Host:
    """Write the files of a quiet machine with 4 cores, and return it.

    Args:
        root: the folder for its files.
        files: path → text of files that differ; None leaves a file out.
        environ: environment variables.
        programs: name → output of the programs that are installed.
        cpus: those that this process may use.
    """
    for path, text in (FILES | dict(files)).items():
        if text is not None:
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)

    def call(command: Sequence[str]) -> str | None:
        return programs.get(command[0])

    return Host(root, environ, call, lambda: set(cpus))


def process(
    pid: int, name: str, ticks: int, *, parent: int = 1, command: str = ""
) -> dict[str, str]:
    """Return path → text of the files of a process.

    Args:
        pid: number of the process.
        name: of its program.
        ticks: of CPU time that it has used.
        parent: number of its parent.
        command: its command line, words separated by spaces.
    """
    rest = f"R {parent} 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 9"
    return {
        f"proc/{pid}/stat": f"{pid} ({name}) {rest}",
        f"proc/{pid}/cmdline": command.replace(" ", "\0"),
    }
