"""Import a Python file by its path."""

from __future__ import annotations

import importlib.util
import sys
import zlib
from pathlib import Path
from types import ModuleType


def import_file(file: Path) -> ModuleType:
    """Import the file as a module and return it; errors of its code pass through.

    The file may import the other files of its folder.
    """
    name = f"cascade_bench_external_{zlib.crc32(str(file).encode()):08x}_{file.stem}"
    spec = importlib.util.spec_from_file_location(name, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file.name} is no Python file that can be imported")
    if str(file.parent) not in sys.path:
        sys.path.append(str(file.parent))  # at the end, so that a file beside it hides no library
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module
