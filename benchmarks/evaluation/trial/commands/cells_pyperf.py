"""Run the cells as a user of pyperf writes them."""

from __future__ import annotations

import pyperf

from benchmarks.evaluation.trial import cell

if __name__ == "__main__":
    runner = pyperf.Runner()
    inherited = [cell.JOB, cell.SIDE, "PYTHONPATH"]
    runner.parse_args()
    runner.args.inherit_environ = inherited
    for name in cell.names():
        runner.bench_func(name, cell.open_lazily(name))
