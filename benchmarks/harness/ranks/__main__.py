"""Start a worker whose cells run in several ranks: ``python -m benchmarks.harness.ranks``."""

from __future__ import annotations

import sys
from pathlib import Path

if __name__ == "__main__":
    # the worker runs the code of the folder that it is started in, whatever is installed
    sys.path.insert(0, str(Path.cwd()))
    from benchmarks.harness.ranks.leader import Leader
    from benchmarks.harness.worker.server import main

    main(Leader)
