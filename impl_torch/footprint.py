"""Count the operations that one call of a program dispatches, and the memory of what they make.

A count has no noise: the same program dispatches the same operations each time. It sees what the
dispatcher sees, so that an operation is one call into torch, whatever kernel runs behind it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from impl_torch.structure import stored


class Watch(TorchDispatchMode):
    """Count the operations, and the bytes they hold, while this dispatch mode is active.

    Attributes:
        counts: name of the operation, such as ``aten.mm.default`` → how often it was dispatched.
        most_held: the most bytes that tensors made by these operations held at once.
    """

    def __init__(self) -> None:
        super().__init__()
        self.counts: Counter[str] = Counter()
        self.most_held = 0
        self._held: dict[int, tuple[StorageWeakRef, int]] = {}  # storage → itself, and its bytes

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """Run the operation, count it, and look at the memory that is held after it."""
        known = {storage._cdata for storage in _storages((args, kwargs))}
        result = func(*args, **(kwargs or {}))
        if func.namespace != "profiler":  # marks for a profiler, which compute nothing
            self.counts[str(func)] += 1
        for storage in _storages(result):
            # one that came with an argument was held before, or is counted already
            if storage._cdata not in known and storage._cdata not in self._held:
                self._held[storage._cdata] = StorageWeakRef(storage), storage.nbytes()
        self._held = {key: one for key, one in self._held.items() if not one[0].expired()}
        self.most_held = max(self.most_held, sum(size for _, size in self._held.values()))
        return result


def _storages(value: Any) -> Iterator[torch.UntypedStorage]:
    """Yield the storages of each plain tensor in a nest of lists, tuples and dicts."""
    for leaf in tree_leaves(value):
        if type(leaf) in (torch.Tensor, torch.nn.Parameter):
            yield from (part.untyped_storage() for part in stored(leaf))
