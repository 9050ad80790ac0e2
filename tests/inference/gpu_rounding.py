"""How a GPU rounds, on the CPU: there a number meets half precision as it is, here torch would round the number first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

ROUNDED_FIRST = {torch.ops.aten.mul.Tensor, torch.ops.aten.div.Tensor, torch.ops.aten.add.Tensor, torch.ops.aten.sub.Tensor}
HALF = {torch.float16, torch.bfloat16}


class GpuRounding(TorchDispatchMode):
    """An operation on half precision and one number is computed in float32 and rounded once (aten/native/cuda, opmath)."""

    def __torch_dispatch__(
        self, func: Any, types: object, args: Sequence[Any] = (), kwargs: Mapping[str, Any] | None = None
    ) -> Any:
        given = dict(kwargs or {})
        operands = [arg for arg in args if isinstance(arg, torch.Tensor)]
        half = next((one.dtype for one in operands if one.dtype in HALF and one.dim()), None)
        if func not in ROUNDED_FIRST or half is None or not any(one.dim() == 0 for one in operands):
            return func(*args, **given)
        wide = [arg.float() if isinstance(arg, torch.Tensor) else arg for arg in args]
        return func(*wide, **given).to(half)
