"""One call of the UNet for many pictures."""

# torch and diffusers are partly unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from bot.inference.faults import is_device_lost
from bot.inference.trajectory import Trajectory

PADDED_ROWS = (1, 2, 4, 8, 16, 32)  # shapes that compiled code and CUDA graphs are made for


def padded_rows(rows: int, buckets: Sequence[int]) -> int:
    """The smallest bucket that holds `rows`, or `rows` where none does."""
    return min((bucket for bucket in buckets if bucket >= rows), default=rows)


def denoise(unet: Any, pictures: Sequence[Trajectory], buckets: Sequence[int] = ()) -> dict[Trajectory, Exception]:
    """Take one step with each picture; all are of one group. Nobody has moved when the UNet raises.

    Returns those that broke in their own arithmetic after it, with the error; the others have moved. A scheduler that raised
    may have counted the step already, so such a picture cannot be gone on with. Raises what ends the device.

    Rows are filled up to a bucket with copies of the first row, which nobody reads.
    """
    inputs = torch.cat([picture.inputs() for picture in pictures])
    conditions = [picture.conditions for picture in pictures]
    embeddings = torch.cat([one.embeddings for one in conditions])
    pooled = torch.cat([one.pooled for one in conditions])
    time_ids = torch.cat([one.time_ids for one in conditions])
    times = torch.stack([picture.timestep for picture in pictures for _ in range(picture.rows)]).float()
    rows = len(inputs)
    missing = padded_rows(rows, buckets) - rows
    if missing:
        inputs, embeddings, pooled, time_ids, times = (
            torch.cat([part, part[:1].expand(missing, *part.shape[1:])])
            for part in (inputs, embeddings, pooled, time_ids, times)
        )
    with torch.no_grad():
        prediction = predict(unet, inputs, times, embeddings, pooled, time_ids)
        broken: dict[Trajectory, Exception] = {}
        start = 0
        for picture in pictures:
            end = start + picture.rows
            try:
                picture.advance(prediction[start:end])
            except Exception as error:
                if is_device_lost(error):
                    raise
                broken[picture] = error
            start = end
    return broken


def predict(
    unet: Any,
    inputs: torch.Tensor,
    times: torch.Tensor,
    embeddings: torch.Tensor,
    pooled: torch.Tensor,
    time_ids: torch.Tensor,
) -> torch.Tensor:
    """Returns what the UNet says of the noise, a row each. The one place that calls it: compiled code and CUDA graphs belong to
    the form of a call, so that measuring in another form would compile everything twice.
    """
    return unet(
        inputs,
        times.to(inputs.device, non_blocking=True),
        encoder_hidden_states=embeddings,
        added_cond_kwargs={"text_embeds": pooled, "time_ids": time_ids},
        return_dict=False,
    )[0]
