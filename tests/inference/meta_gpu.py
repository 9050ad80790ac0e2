"""torch's meta device as the GPU: it computes nothing and holds no values, so whatever wants to read one fails, and what is
launched on it and copied to it can be counted on any machine.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
import torch
from torch.utils import _pytree
from torch.utils._python_dispatch import TorchDispatchMode

from bot.inference import transfers

META = torch.device("meta")
FREE = {"empty.memory_format", "empty_strided", "empty_like", "detach", "alias", "lift_fresh"}  # they launch nothing
SEEN = 9  # every value that comes back; as the verdict on a picture, "good"
READS = {"_local_scalar_dense", "equal", "nonzero", "is_nonzero"}


@dataclass(frozen=True, kw_only=True)
class Copy:
    """To the device."""

    shape: tuple[int, ...]
    pinned: bool
    waits: bool


class Watch(TorchDispatchMode):
    """Notes what is asked of the device; `launches` are those outside the UNet, by name, `fetched` the shapes of what it sends
    back without being waited for.
    """

    def __init__(self, pinned: Sequence[torch.Tensor]) -> None:
        super().__init__()
        self.launches: Counter[str] = Counter()
        self.copies: list[Copy] = []
        self.reads: list[str] = []
        self.fetched: list[tuple[int, ...]] = []
        self.in_unet = False
        self._pinned = pinned

    def clear(self) -> None:
        for noted in (self.launches, self.copies, self.reads, self.fetched):
            noted.clear()

    def __torch_dispatch__(
        self, func: Any, types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        name = str(func._schema.name).removeprefix("aten::") + (f".{name}" if (name := func._schema.overload_name) else "")
        tensors = [leaf for leaf in _pytree.tree_leaves((args, given)) if isinstance(leaf, torch.Tensor)]
        on_device = any(tensor.is_meta for tensor in tensors)
        if name in READS and on_device:
            self.reads.append(name)
        returned = func(*args, **given)
        results = [leaf for leaf in _pytree.tree_leaves(returned) if isinstance(leaf, torch.Tensor)]
        source = tensors[-1] if name == "copy_" else tensors[0] if name == "_to_copy" else None
        if source is not None and not source.is_meta and any(result.is_meta for result in results):
            self._note_copy(source, waits=not (given.get("non_blocking") or (name == "copy_" and args[2:3] == (True,))))
        elif any(result.is_meta for result in results) and not _is_view(func) and name not in FREE and not self.in_unet:
            self.launches[name] += 1
        return returned

    def _note_copy(self, source: torch.Tensor, *, waits: bool) -> None:
        pinned = any(source.untyped_storage()._cdata == one.untyped_storage()._cdata for one in self._pinned)
        self.copies.append(Copy(shape=tuple(source.shape), pinned=pinned, waits=waits))


def _is_view(func: Any) -> bool:
    return any(one.alias_info is not None and not one.alias_info.is_write for one in func._schema.returns)


@contextmanager
def outside(watch: Watch, unet: Any) -> Iterator[None]:
    """Leave out what the UNet does."""

    def enter(*_: Any) -> None:
        watch.in_unet = True

    def leave(*_: Any) -> None:
        watch.in_unet = False

    handles = unet.register_forward_pre_hook(enter), unet.register_forward_hook(leave)
    yield
    for handle in handles:
        handle.remove()


@pytest.fixture
def meta_gpu(monkeypatch: pytest.MonkeyPatch) -> Watch:
    """The meta device counts as one that fetches from pinned memory; what was pinned is known again."""
    kept: list[torch.Tensor] = []
    watch = Watch(kept)

    def pinned(values: torch.Tensor) -> torch.Tensor:
        kept.append(values.clone())
        return kept[-1]

    def received(values: torch.Tensor) -> transfers.Fetched:
        watch.fetched.append(tuple(values.shape))
        kept.append(torch.full(values.shape, SEEN, dtype=values.dtype))
        return transfers.Fetched(values=kept[-1], arrived=None)

    monkeypatch.setattr(transfers, "received", received)
    monkeypatch.setattr(transfers, "BEHIND", frozenset({"cuda", "meta"}))
    monkeypatch.setattr(transfers, "pinned", pinned)
    return watch
