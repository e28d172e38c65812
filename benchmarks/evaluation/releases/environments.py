"""Say which environments the matrix tries, as data: the pinned one, changed along one axis.

A framework of an environment is a release such as ``2.14.1``, `PINNED` for that of
``constraints.txt``, `NEWEST` for the newest that the package index has for this Python, or None
where it is not installed.
"""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.paths import ROOT

PINNED, NEWEST = "pinned", "newest"
FRAMEWORK_PACKAGES = ("torch", "jax", "jaxlib", "flax", "optax")


@dataclass(frozen=True)
class Environment:
    """Name one environment: a Python, and the releases of the frameworks that it holds.

    ``helpers`` is the release of flax and optax, which follow jax.
    """

    name: str
    python: str = "3.11"
    torch: str | None = PINNED
    jax: str | None = PINNED
    helpers: str = PINNED

    @property
    def requirements(self) -> list[str]:
        """Return what pip is to install of the frameworks, such as ``torch==2.14.1``."""
        wanted = {"torch": self.torch}
        if self.jax is not None:
            wanted |= {"jax": self.jax, "flax": self.helpers, "optax": self.helpers}
        return [_requirement(name, release) for name, release in wanted.items() if release]

    @property
    def frameworks(self) -> list[str]:
        """Return the frameworks that the environment holds."""
        return [name for name in ("torch", "jax") if getattr(self, name) is not None]


ENVIRONMENTS = (
    Environment("pinned"),
    Environment("torch-alone", jax=None),
    Environment("jax-alone", torch=None),
    Environment("neither", torch=None, jax=None),
    Environment("torch-2.11", torch="2.11.0"),
    Environment("torch-2.12", torch="2.12.1"),
    Environment("torch-2.14", torch="2.14.1"),
    Environment("torch-2.15", torch="2.15.0"),
    # the index has jax 0.11 and newer for Python 3.12 and newer alone
    Environment("python-3.12", "3.12", torch=None),
    Environment("python-3.13", "3.13", torch=None),
    Environment("python-3.14", "3.14", torch=None),
    Environment("jax-0.11", "3.12", torch=None, jax="0.11.2", helpers=NEWEST),
    Environment("jax-0.12", "3.12", torch=None, jax="0.12.0.1", helpers=NEWEST),
    Environment("jax-0.12-python-3.13", "3.13", torch=None, jax="0.12.0.1", helpers=NEWEST),
    Environment("torch-2.11-jax-0.11", "3.12", torch="2.11.0", jax="0.11.2", helpers=NEWEST),
    Environment("newest", "3.13", torch=NEWEST, jax=NEWEST, helpers=NEWEST),
)


def pinned_elsewhere() -> list[str]:
    """Return the lines of ``constraints.txt`` that pin anything but the frameworks."""
    return [line for line in _pins() if line.partition("==")[0] not in FRAMEWORK_PACKAGES]


def _requirement(name: str, release: str) -> str:
    """Return what pip is to install for a release of a package; see the module for its values."""
    if release == NEWEST:
        return name
    if release == PINNED:
        return next(line for line in _pins() if line.partition("==")[0] == name)
    return f"{name}=={release}"


def _pins() -> list[str]:
    """Return the lines ``name==version`` of ``constraints.txt``."""
    return [line for line in (ROOT / "constraints.txt").read_text().split() if "==" in line]
