"""Import a framework when a test first uses it, not when the tests are collected.

Each process of pytest-xdist collects every test. To import torch and JAX takes seconds, and many
processes run no test that uses them.
"""

from __future__ import annotations

from typing import Any

import pytest


class LazyModule:
    """Stand for a module until one of its attributes is read, and import it then.

    A test that reads an attribute is skipped where the module is not installed. Names with an
    underscore in front are not looked up: pytest reads such ones of all that a test module holds.

    Args:
        name: of the module, such as ``torch`` or ``torch.nn.functional``.
    """

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, attribute: str) -> Any:
        """Return the attribute of the module, which is imported if it is not yet.

        Raises:
            AttributeError: the name begins with an underscore.
        """
        if attribute.startswith("_"):
            raise AttributeError(attribute)
        return getattr(pytest.importorskip(self._name), attribute)
