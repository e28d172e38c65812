"""Run a module of the suite: ``python -P launcher.py SUITE MODULE [ARGUMENT …]``.

The suite's folder comes first on this process's path, and on that of no other: a variable such as
``PYTHONPATH`` would hand it on to whatever a user's code starts.

Where ``CASCADE_BENCH_PARENT`` names an inherited pipe, this process interrupts itself, as Ctrl-C
would, once the other end is closed: its parent has ended, however that happened.

Ctrl-C that the module does not handle ends it with exit code 130, and a line, not a traceback.
"""

from __future__ import annotations

import os
import runpy
import signal
import sys
import threading

PARENT = "CASCADE_BENCH_PARENT"
STOPPED = 130


def interrupt_after_parent(pipe: int) -> None:
    """Wait until the pipe's other end is closed, then send SIGINT to this process."""
    while os.read(pipe, 64):
        pass
    os.kill(os.getpid(), signal.SIGINT)


def main() -> None:
    """Run the module that the command line names as ``__main__``."""
    suite, module, *arguments = sys.argv[1:]
    pipe = os.environ.pop(PARENT, None)
    if pipe is not None:
        os.set_inheritable(int(pipe), False)  # what this process starts must not hold it open
        threading.Thread(target=interrupt_after_parent, args=[int(pipe)], daemon=True).start()
    os.environ.pop("PYTHONSAFEPATH", None)  # workers find the suite in the folder they start in
    sys.path.insert(0, suite)
    sys.argv[1:] = arguments
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except KeyboardInterrupt:  # Ctrl-C, also while modules are still being imported
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        if pipe is None:  # else the parent says so
            print("cascade-bench: stopped", file=sys.stderr)
        sys.exit(STOPPED)


if __name__ == "__main__":
    main()
