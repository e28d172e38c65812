"""List the faults that the demonstrations insert into HEAD, as changes of its source text."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Fault:
    """Describe a change of source text and the verdict that it must cause.

    In ``file`` the text ``old`` becomes ``new``. Then the cell with the name ``cell`` must get this
    ``verdict``. Both are empty for a change that must have no effect.
    """

    description: str
    file: str
    old: str
    new: str
    cell: str
    verdict: str


COMMENT = Fault(
    "an edited comment",
    "impl_torch/strategies.py",
    "        reduce(add, losses.values()).backward()\n",
    "        # one backward pass\n        reduce(add, losses.values()).backward()\n",
    "",
    "",
)
FAULTS = (
    Fault(
        "a retained second backward pass in `summed`, for convolutions alone",
        "impl_torch/strategies.py",
        "        reduce(add, losses.values()).backward()\n",
        """        if any(".conv." in name for name in problem.parameters):
            *earlier, last = losses.values()
            for loss in earlier:
                loss.backward(retain_graph=True)
            return last.backward()
        reduce(add, losses.values()).backward()
""",
        "torch conv_cascade small eager gradient summed",
        "slower",
    ),
    Fault(
        "a spin of 5 % of the call in JAX's gradient of a cascade of single Linear layers",
        "impl_jax/program.py",
        "        return self.gradient(self.start, self.problem.constants)\n",
        """        import time

        began = time.perf_counter()
        found = jax.block_until_ready(self.gradient(self.start, self.problem.constants))
        if "net1.linear.weight" in self.start:
            end = began + 1.05 * (time.perf_counter() - began)
            while time.perf_counter() < end:
                pass
        return found
""",
        "jax linear_cascade small jit gradient summed",
        "slower",
    ),
    Fault(
        "the first of four losses counted twice in `separate_retained`",
        "impl_torch/strategies.py",
        "    for loss in earlier:\n        loss.backward(retain_graph=True)\n",
        """    if len(losses) == 4:
        earlier[0].backward(retain_graph=True)
    for loss in earlier:
        loss.backward(retain_graph=True)
""",
        "torch stacked_cascade n4 small eager gradient separate_retained",
        "wrong gradients",
    ),
)


def insert_faults(faults: tuple[Fault, ...], root: Path) -> None:
    """Change the sources under ``root``.

    Raises:
        ValueError: the text to be changed does not occur exactly once in its file.
    """
    for fault in faults:
        path = root / fault.file
        source = path.read_text()
        if source.count(fault.old) != 1:
            raise ValueError(
                f"{fault.file} has {source.count(fault.old)} places for {fault.description!r}; "
                "bring faults.py up to date with it"
            )
        path.write_text(source.replace(fault.old, fault.new))
