"""CUDA graphs of the UNet: a call is launched whole instead of kernel by kernel, and the kernels are the same.

Calling an SDXL's UNet takes about 2,100 launches, estimated at 20 to 30 ms of a thread: about as long as a large GPU works on
one picture.
"""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import torch

from bot.inference.card_memory import MOST_GRAPHS
from bot.inference.denoising.unet_call import predict
from bot.inference.faults import free_memory, is_out_of_memory

CALLS = 20  # of one shape, after which a graph of it is worth the second that it takes
MOST_COUNTED = 256  # shapes
MOST_FAILED = 8  # shapes; after that many failures the next would fail too
CONDITIONS = {"text_embeds", "time_ids"}

Inputs = tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]
"""The arguments of `predict` besides the UNet."""
Shape = tuple[tuple[torch.Size, torch.dtype, torch.memory_format], ...]
"""Shape and type of each input, and its order in memory: for channels last, as img2img begins, convolutions run differently and
give other bits.
"""

logger = logging.getLogger(__name__)


class Graph(Protocol):
    """Recorded work, as torch.cuda.CUDAGraph."""

    def replay(self) -> None:
        """Run it again, reading where the inputs were and writing where the output was."""
        ...


class GraphBackend(Protocol):
    """Records graphs. Those of one backend share their memory, so only one is replayed at a time."""

    def capture(self, call: Callable[[], torch.Tensor]) -> tuple[Graph, torch.Tensor]:
        """Returns a graph of the call, and the tensor that its output is written to."""
        ...

    def check(self) -> None:
        """Raises what ends the device, after a fault of `capture`: most leave it usable, but read alike."""
        ...

    def release(self) -> None:
        """Give back the memory of graphs that are gone; later graphs get new memory."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Captured:
    graph: Graph
    inputs: Inputs
    output: torch.Tensor


class GraphedUNet:
    """A UNet with graphs, called by `predict`. Calls of a captured shape are replayed; the output of a replay is valid until
    the next one of its shape. All other calls, and those with more than the plain inputs, go to the UNet itself.

    Belongs to the drawing thread. A graph knows weights by their address; they may be changed in place.
    """

    def __init__(self, unet: Any, backend: GraphBackend) -> None:
        self._unet = unet
        self._backend = backend
        self._captured: OrderedDict[Shape, _Captured] = OrderedDict()  # the last replayed one is last
        self._calls: OrderedDict[Shape, int] = OrderedDict()  # eager ones
        self._failed: set[Shape] = set()
        self._last: Shape | None = None  # of the last call, if that was an eager one
        self._addresses: tuple[int, ...] = ()
        self._is_open = is_plain(unet)

    @property
    def wanted(self) -> bool:
        """Returns whether the last call's shape has come often enough to be captured."""
        return self._last is not None and self._may_have(self._last) and self._calls.get(self._last, 0) >= CALLS

    def __call__(
        self,
        latents: torch.Tensor,
        times: Any,
        *,
        encoder_hidden_states: torch.Tensor,
        added_cond_kwargs: Mapping[str, torch.Tensor],
        return_dict: bool = True,
        **beyond: Any,
    ) -> Any:
        self._last = None
        if not beyond and not return_dict and set(added_cond_kwargs) == CONDITIONS and isinstance(times, torch.Tensor):
            inputs = latents, times, encoder_hidden_states, added_cond_kwargs["text_embeds"], added_cond_kwargs["time_ids"]
            shape = _shape(inputs)
            if shape is not None and shape in self._captured:
                return (self._replayed(shape, inputs),)
            self._count(shape)
        return self._unet(
            latents,
            times,
            encoder_hidden_states=encoder_hidden_states,
            added_cond_kwargs=added_cond_kwargs,
            return_dict=return_dict,
            **beyond,
        )

    def capture_wanted(self) -> None:
        """Capture the last call's shape."""
        if self.wanted and self._last is not None:
            self._capture(self._last)

    def capture(self, inputs: Inputs) -> bool:
        """Capture the shape of these inputs of `predict`, unless that was done. Returns whether its calls are replayed now. If
        that fails, they stay eager for good, and the log says why. Raises what ends the device.
        """
        shape = _shape(inputs)
        if shape is None:
            return False
        if self._may_have(shape):
            self._capture(shape)
        return shape in self._captured

    def weights_changed(self) -> None:
        """Drop the graphs if the weights have moved to other addresses. Merged LoRAs change weights in place."""
        if self._captured and self._where() != self._addresses:
            logger.warning("The UNet's weights were moved; its CUDA graphs are made anew.")
            self._drop()

    def release(self) -> bool:
        """Free the graphs' memory: all calls are eager from now on. Returns whether there were any graphs."""
        self._is_open = False
        return self._drop()

    def _may_have(self, shape: Shape) -> bool:
        return self._is_open and shape not in self._captured and shape not in self._failed

    def _replayed(self, shape: Shape, inputs: Inputs) -> torch.Tensor:
        captured = self._captured[shape]
        self._captured.move_to_end(shape)
        for static, given in zip(captured.inputs, inputs, strict=True):
            static.copy_(given)
        captured.graph.replay()
        return captured.output

    def _count(self, shape: Shape | None) -> None:
        self._last = shape
        if shape is None:
            return
        self._calls[shape] = self._calls.pop(shape, 0) + 1
        if len(self._calls) > MOST_COUNTED:
            self._calls.popitem(last=False)

    def _capture(self, shape: Shape) -> None:
        if self._where() != self._addresses:
            self._drop()
        try:
            self._captured[shape] = self._recorded(shape)
        except Exception as error:  # noqa: BLE001  # whatever a driver does not let a graph do
            self._backend.check()
            fault, no_room = (str(error).strip() or type(error).__name__).splitlines()[0], is_out_of_memory(error)
        else:
            self._addresses = self._where()
            return
        self._failed.add(shape)
        self._is_open = len(self._failed) < MOST_FAILED
        rows, _, height, width = shape[0][0]
        logger.warning("Calls of %d rows of %d x %d stay without a CUDA graph: %s", rows, width, height, fault)
        if no_room:  # outside the except block: a caught error keeps its frames' tensors alive
            free_memory()

    def _recorded(self, shape: Shape) -> _Captured:
        if len(self._captured) >= MOST_GRAPHS:
            self._captured.popitem(last=False)
        latents, times, embeddings, pooled, time_ids = (
            torch.empty(size, dtype=dtype, device=self._unet.device, memory_format=layout).zero_()
            for size, dtype, layout in shape
        )
        inputs = latents, times, embeddings, pooled, time_ids
        with torch.no_grad():
            graph, output = self._backend.capture(lambda: predict(self._unet, *inputs))
        return _Captured(graph=graph, inputs=inputs, output=output)

    def _drop(self) -> bool:
        had = bool(self._captured)
        self._captured.clear()
        self._backend.release()
        return had

    def _where(self) -> tuple[int, ...]:
        """Returns the weights' addresses."""
        return tuple(weights.data_ptr() for weights in self._unet.parameters())


def is_plain(unet: Any) -> bool:
    """Returns whether a UNet's layers only compute on weights that stay where they are: offloading, casting to 8 bit and the
    like hook into layers, and would not be part of a graph.
    """
    return not any(
        layer._forward_pre_hooks or layer._forward_hooks or hasattr(layer, "_hf_hook") or hasattr(layer, "_diffusers_hook")
        for layer in unet.modules()
    )


def _shape(inputs: Inputs) -> Shape | None:
    """Returns the shape; None if an input has an unusual order in memory."""
    shape: list[tuple[torch.Size, torch.dtype, torch.memory_format]] = []
    for one in inputs:
        layout = _layout(one)
        if layout is None:
            return None
        shape.append((one.shape, one.dtype, layout))
    return tuple(shape)


def _layout(one: torch.Tensor) -> torch.memory_format | None:
    if one.is_contiguous():
        return torch.contiguous_format
    return torch.channels_last if one.dim() == 4 and one.is_contiguous(memory_format=torch.channels_last) else None
