"""Find out which parameters DistributedDataParallel reduces over the processes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from impl_torch.step_case import StepCase


class Reducing:
    """Note what is reduced while the context lasts.

    A module's communication hook tells which parameters are in each bucket. Where the user has
    registered one, or reduces by hand, nothing is known.

    Args:
        case: the case whose steps run in the context.
    """

    def __init__(self, case: StepCase) -> None:
        self.names = {id(p): n for n, p in case.parameters.items()}
        self.seen: set[str] = set()
        self.known = False
        self._by_hand, self._in_hook = False, False
        self._original: Any = None
        self._wrapped = _wrapped(case)

    def __enter__(self) -> Reducing:
        if not self._wrapped:
            return self
        try:
            for module in self._wrapped:
                module.register_comm_hook(None, self._hook())
            self.known = True
        except RuntimeError:  # the user has registered one
            self.known = False
        self._original = torch.distributed.all_reduce
        torch.distributed.all_reduce = self._all_reduce
        return self

    def __exit__(self, *error: object) -> None:
        if self._original is not None:
            torch.distributed.all_reduce = self._original

    def reduced(self) -> list[str] | None:
        """Return the parameters that were reduced; None where that is not known."""
        return sorted(self.seen) if self.known and not self._by_hand else None

    def _all_reduce(self, *args: Any, **kwargs: Any) -> Any:
        """Note that the user reduces by hand."""
        self._by_hand |= not self._in_hook
        return self._original(*args, **kwargs)

    def _hook(self) -> Callable[[Any, Any], Any]:
        """Return a communication hook that averages as DDP does, and notes the parameters."""
        from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

        def hook(state: Any, bucket: Any) -> Any:
            self.seen.update(self.names[id(p)] for p in bucket.parameters() if id(p) in self.names)
            self._in_hook = True
            try:
                return allreduce_hook(state, bucket)
            finally:
                self._in_hook = False

        hook.__annotations__ = {  # DDP asks for the classes themselves
            "bucket": torch.distributed.GradBucket,  # type: ignore[attr-defined]
            "return": torch.futures.Future[torch.Tensor],
        }
        return hook


def _wrapped(case: StepCase) -> list[Any]:
    """Return the modules of the case that are wrapped in DDP."""
    if not torch.distributed.is_available() or not torch.distributed.is_initialized():
        return []
    kind = nn.parallel.DistributedDataParallel
    modules = [m for network in case.networks.values() for m in network.modules()]
    return [m for m in modules if isinstance(m, kind)]
