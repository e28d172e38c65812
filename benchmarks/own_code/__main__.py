"""Carry out a request of the client: ``python -m benchmarks.own_code REQUEST.json``."""

from __future__ import annotations

import sys

if __name__ == "__main__":
    from benchmarks.own_code.command import main

    sys.exit(main(sys.argv[1:]))
