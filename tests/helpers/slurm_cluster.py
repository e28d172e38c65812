"""Start munge, slurmctld and two slurmd of this machine as a cluster of two nodes, and end them."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import time
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scancel")
WAIT = 180.0  # seconds for a daemon to be there; a busy machine needs less
CONFIGURATION = """\
ClusterName=tried
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={port}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool.%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/linear
SchedulerParameters=sched_interval=2,batch_sched_delay=0
MpiDefault=none
ReturnToService=2
KillWait=5
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=1 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=1 State=UNKNOWN
PartitionName=all Nodes=n1,n2 Default=YES MaxTime=INFINITE State=UP
"""


def why_not() -> str | None:
    """Return why no Slurm can be started here; None where one can."""
    missing = [name for name in PROGRAMS if not _program(name)]
    if missing:
        return f"{', '.join(missing)} not installed here: apt-get install slurm-wlm munge"
    return None if os.getuid() == 0 else "Slurm is started by root alone"


def _program(name: str) -> str | None:
    """Return the path of a program, which may be one of the system's."""
    return shutil.which(name, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")


def _free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class SlurmCluster:
    """Hold the daemons of a cluster of two nodes, ``n1`` and ``n2``.

    Args:
        folder: of its configuration, logs and state.

    Attributes:
        environment: variables by which Slurm's commands find it.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._processes: list[subprocess.Popen[bytes]] = []
        ports = {name: _free_port() for name in ("port", "first", "second")}
        text = CONFIGURATION.format(folder=folder, host=socket.gethostname(), **ports)
        (folder / "slurm.conf").write_text(text)
        (folder / "state").mkdir()
        try:
            self._start_munge()
            self._start("slurmctld", "-D", "-i")
            for node in ("n1", "n2"):
                (folder / f"spool.{node}").mkdir()
                self._start("slurmd", "-D", "-N", node)
            self._await_nodes()
        except BaseException:
            self.close()
            raise

    def _start(self, program: str, *options: str) -> None:
        """Start a daemon that stays in the foreground."""
        with (self.folder / f"{program}.out").open("ab") as log:
            process = subprocess.Popen(
                [str(_program(program)), *options],
                stdout=log,
                stderr=log,
                env={**os.environ, **self.environment},
            )
        self._processes.append(process)

    def _start_munge(self) -> None:
        """Start munge with a key of its own."""
        folder = self.folder / "munge"
        folder.mkdir(mode=0o755)
        key = folder / "key"
        key.write_bytes(os.urandom(128))
        key.chmod(0o400)
        self._start(
            "munged", "--foreground", "--force", f"--socket={folder}/socket", f"--key-file={key}",
            f"--pid-file={folder}/pid", f"--log-file={folder}/log", f"--seed-file={folder}/seed",
        )  # fmt: skip
        self._wait_for(lambda: (folder / "socket").exists(), "munge")

    def _await_nodes(self) -> None:
        """Wait until both nodes are idle."""
        self._wait_for(lambda: self.output("sinfo", "-h", "-o", "%D %t") == "2 idle", "the nodes")

    def _wait_for(self, condition: object, what: str) -> None:
        """Wait until something is true, `WAIT` seconds at most."""
        deadline = time.monotonic() + WAIT
        while not condition():  # type: ignore[operator]
            assert time.monotonic() < deadline, f"waited {WAIT:.0f} s for {what}: see {self.folder}"
            time.sleep(0.2)

    def output(self, *command: str) -> str:
        """Return what a command of Slurm prints."""
        done = subprocess.run(
            command, capture_output=True, text=True, check=False,
            env={**os.environ, **self.environment},
        )  # fmt: skip
        return done.stdout.strip()

    def close(self) -> None:
        """Cancel all jobs and end the daemons, the first started last."""
        if len(self._processes) > 1:
            self.output("scancel", "-u", "root")
            time.sleep(1.0)
        for process in reversed(self._processes):
            process.terminate()
            try:
                process.wait(15.0)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
