"""What ranks of the fake framework compute and exchange alone.

Behind the wrapper ``alone_fails`` a rank cannot exchange alone, behind ``alone_dies`` it dies of
it.
"""

from __future__ import annotations

import os
import signal
import time
from typing import Any


def computing(opened: Any) -> Any:
    return opened.program("backward", "summed", "gradient")


class Exchange:
    def __init__(self, wrapper: str, operation: str, size: int, dtype: str) -> None:
        if wrapper == "alone_fails":
            raise RuntimeError("no rank can exchange alone")
        if wrapper == "alone_dies":
            os.kill(os.getpid(), signal.SIGKILL)

    def prepare(self) -> None: ...

    def run(self, carry: None) -> None:
        time.sleep(0.001)

    def wait(self, result: None) -> None: ...

    def reset(self) -> None: ...
