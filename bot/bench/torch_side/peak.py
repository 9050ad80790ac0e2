"""Finds how much memory work takes at most beside the weights, on the meta device, without doing any of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.multiprocessing.reductions import StorageWeakRef
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves


def count_peak_bytes(work: Callable[[], object]) -> int:
    """Returns the bytes of all tensors that `work` makes and that are alive together, as in an eager call without autograd.

    The kernels' own memory (cuDNN's workspaces), and an allocator's losses between its blocks, come on top. Attention is taken
    to keep no matrix of weights, as the kernels of CUDA do.
    """
    live = _Live()
    with torch.no_grad(), _Attention(), live:
        work()
    return live.peak


class _Live(TorchDispatchMode):
    """Counts the bytes of storages that are still in use, after each operation."""

    def __init__(self) -> None:
        super().__init__()
        self.peak = 0
        self._known: dict[int, tuple[StorageWeakRef, int]] = {}

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        outcome = func(*args, **(kwargs or {}))
        given = {_storage(tensor) for tensor in tree_leaves((args, kwargs)) if _is_tensor(tensor)}
        self._known = {key: entry for key, entry in self._known.items() if not entry[0].expired()}
        for tensor in tree_leaves(outcome):
            if _is_tensor(tensor) and _storage(tensor) not in given:
                storage = tensor.untyped_storage()
                self._known[_storage(tensor)] = StorageWeakRef(storage), storage.nbytes()
        self.peak = max(self.peak, sum(size for _, size in self._known.values()))
        return outcome


class _Attention(TorchFunctionMode):
    """Replaces attention by one with flash attention's memory: the outcome and nothing else."""

    def __torch_function__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.nn.functional.scaled_dot_product_attention:
            return torch.empty_like(args[0])
        return func(*args, **(kwargs or {}))


def _is_tensor(value: object) -> bool:
    return isinstance(value, torch.Tensor)


def _storage(tensor: torch.Tensor) -> int:
    return int(StorageWeakRef(tensor.untyped_storage()).cdata)
