"""One call of the UNet for many pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import rescale_noise_cfg

from bot.inference.denoising.denoising_state import DenoisingState
from bot.inference.faults import is_device_lost
from bot.inference.samplers.step_arithmetic import Batch, BatchedSteps, Moved, column, divided
from bot.inference.transfers import sent, sent_together


def padded_rows(rows: int, buckets: Sequence[int]) -> int:
    """Returns the smallest bucket with room for `rows`, or `rows` if there is none."""
    return min((bucket for bucket in buckets if bucket >= rows), default=rows)


def denoise(unet: Any, pictures: Sequence[DenoisingState], buckets: Sequence[int] = ()) -> dict[DenoisingState, Exception]:
    """Take one step with each picture; all are of one group. When it raises, no picture has moved: any fault of the UNet, of
    guidance or of a shared step raises.

    Returns the pictures that failed in their own arithmetic afterwards, with the error; the others have moved. A scheduler that
    raised may have counted the step already, so such a picture cannot continue. Raises what ends the device.

    Rows are filled up to a bucket with copies of the first row, which nobody reads. On a GPU everything is launched without
    waiting, and noise is drawn while the UNet works.
    """
    ordered = sorted(pictures, key=lambda picture: -picture.rows)  # with guidance first: their pairs lie side by side
    with torch.no_grad():
        call = _Call(ordered, buckets)
        prediction = call.guided(predict(unet, *call.inputs()))
        moves = call.moves(prediction)
        broken: dict[DenoisingState, Exception] = {}
        for picture, own in zip(ordered, prediction.split(1), strict=True):
            try:
                if picture in moves:
                    picture.move(moves[picture])
                else:
                    picture.advance(own)
            except Exception as error:
                if is_device_lost(error):
                    raise
                broken[picture] = error
    return broken


def predict(
    unet: Any,
    inputs: torch.Tensor,
    times: torch.Tensor,
    embeddings: torch.Tensor,
    pooled: torch.Tensor,
    time_ids: torch.Tensor,
) -> torch.Tensor:
    """Returns the UNet's prediction of the noise, a row each. This is the one place that calls it: compiled code and CUDA
    graphs depend on the form of a call, so measuring in another form would compile everything twice.
    """
    return unet(
        inputs,
        sent(times, inputs.device),
        encoder_hidden_states=embeddings,
        added_cond_kwargs={"text_embeds": pooled, "time_ids": time_ids},
        return_dict=False,
    )[0]


class _Call:
    """The tensors of one call; its pictures with guidance come first. Values that differ by picture are sent at once."""

    def __init__(self, pictures: Sequence[DenoisingState], buckets: Sequence[int]) -> None:
        self._pictures = pictures
        self._rows = [picture for picture in pictures for _ in range(picture.rows)]
        self._missing = padded_rows(len(self._rows), buckets) - len(self._rows)
        self._with_guidance = sum(picture.rows == 2 for picture in pictures)
        self._blocks = _blocks(pictures)
        self._scaled = any(picture.batched is not None and picture.batched.scales is not None for picture in pictures)
        device = pictures[0].latents.device
        self._times, self._scales, self._weights, *self._numbers = sent_together(
            [
                self._filled(torch.stack([picture.timestep for picture in self._rows]).float()),
                torch.stack([picture.input_scale for picture in self._rows]),
                torch.tensor([picture.guidance.scale for picture in pictures[: self._with_guidance]]),
                *(block.numbers() for block in self._blocks),
            ],
            device,
        )

    def inputs(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """Returns the arguments of `predict`."""
        latents = torch.cat([picture.latents for picture in self._rows])
        if self._scaled:
            latents = divided(latents, column(self._scales)).to(latents.dtype)
        conditions = [picture.conditions for picture in self._pictures]
        return (
            self._filled(latents),
            self._times,
            self._filled(torch.cat([one.embeddings for one in conditions])),
            self._filled(torch.cat([one.pooled for one in conditions])),
            self._filled(torch.cat([one.time_ids for one in conditions])),
        )

    def guided(self, prediction: torch.Tensor) -> torch.Tensor:
        """Returns the guided prediction, one row a picture."""
        pairs = 2 * self._with_guidance
        if not pairs:
            return prediction[: len(self._rows)]
        negative, positive = prediction[:pairs].unflatten(0, (-1, 2)).unbind(1)
        guided = negative + (column(self._weights) * (positive - negative)).to(prediction.dtype)
        guided = self._rescaled(guided, positive)
        return guided if pairs == len(self._rows) else torch.cat([guided, prediction[pairs : len(self._rows)]])

    def moves(self, prediction: torch.Tensor) -> dict[DenoisingState, Moved]:
        """Returns the moves of the pictures that share their steps; `prediction` has a row for each picture."""
        rows = dict(zip(self._pictures, prediction.split(1), strict=True))
        moves: dict[DenoisingState, Moved] = {}
        for block, numbers in zip(self._blocks, self._numbers, strict=True):
            whole = len(block.pictures) == len(self._pictures)
            own = prediction if whole else torch.cat([rows[picture] for picture in block.pictures])
            moves.update(zip(block.pictures, block.moved(own, numbers).rows(), strict=True))
        return moves

    def _rescaled(self, guided: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
        """Returns each row rescaled by itself: a deviation over many pictures at once may be summed up in another order."""
        shares = [picture.guidance.rescale for picture in self._pictures[: self._with_guidance]]
        if not any(share > 0 for share in shares):
            return guided
        return torch.cat(
            [
                rescale_noise_cfg(one, shown, guidance_rescale=share) if share > 0 else one
                for one, shown, share in zip(guided.split(1), positive.split(1), shares, strict=True)
            ]
        )

    def _filled(self, rows: torch.Tensor) -> torch.Tensor:
        if not self._missing:
            return rows
        return torch.cat([rows, rows[:1].expand(self._missing, *rows.shape[1:])])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Block:
    """The pictures of a call that take their step together, and the steps of each."""

    pictures: list[DenoisingState]
    steps: list[BatchedSteps]

    def numbers(self) -> torch.Tensor:
        """Returns the numbers of the step, column after column."""
        rows = [own.numbers[picture.step] for own, picture in zip(self.steps, self.pictures, strict=True)]
        return torch.stack(rows, dim=1).flatten()

    def moved(self, prediction: torch.Tensor, numbers: torch.Tensor) -> Moved:
        """Returns the outcome of the step; `prediction` has the rows of these pictures, and `numbers` are on the device."""
        arithmetic, velocity = self.steps[0].kind
        draws = any(picture.draws for picture in self.pictures)
        noise = torch.cat([picture.step_noise(prediction.dtype) for picture in self.pictures]) if draws else None
        memories = [picture.memory for picture in self.pictures if picture.memory is not None]
        return arithmetic(
            Batch(
                latents=torch.cat([picture.latents for picture in self.pictures]),
                prediction=prediction,
                numbers=[column(values) for values in numbers.view(-1, len(self.pictures))],
                velocity=velocity,
                noise=None if noise is None else sent(noise, prediction.device),
                memory=torch.cat(memories) if memories else None,
            )
        )


def _blocks(pictures: Sequence[DenoisingState]) -> list[_Block]:
    """Returns the pictures that share their steps, grouped by kind."""
    blocks: dict[object, _Block] = {}
    for picture in pictures:
        if picture.batched is not None:
            block = blocks.setdefault(picture.batched.kind, _Block(pictures=[], steps=[]))
            block.pictures.append(picture)
            block.steps.append(picture.batched)
    return list(blocks.values())
