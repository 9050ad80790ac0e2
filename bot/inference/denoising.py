"""One call of the UNet for many pictures."""

# torch and diffusers are partly unannotated.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from diffusers.pipelines.stable_diffusion_xl.pipeline_stable_diffusion_xl import rescale_noise_cfg

from bot.inference.euler import EulerSteps, column, divided, euler_step
from bot.inference.faults import is_device_lost
from bot.inference.trajectory import Trajectory
from bot.inference.transfers import sent, sent_together

Moves = dict[Trajectory, tuple[torch.Tensor, torch.Tensor]]  # the next latents, and the clean ones that they aim at


def padded_rows(rows: int, buckets: Sequence[int]) -> int:
    """The smallest bucket that holds `rows`, or `rows` where none does."""
    return min((bucket for bucket in buckets if bucket >= rows), default=rows)


def denoise(unet: Any, pictures: Sequence[Trajectory], buckets: Sequence[int] = ()) -> dict[Trajectory, Exception]:
    """Take one step with each picture; all are of one group. Nobody has moved when it raises, which any fault of the UNet, of
    guidance or of a shared step does.

    Returns those that broke in their own arithmetic after it, with the error; the others have moved. A scheduler that raised
    may have counted the step already, so such a picture cannot be gone on with. Raises what ends the device.

    Rows are filled up to a bucket with copies of the first row, which nobody reads. On a GPU all of it is launched without
    waiting, and noise is drawn while the UNet is at work.
    """
    ordered = sorted(pictures, key=lambda picture: -picture.rows)  # with guidance first: their pairs lie side by side
    with torch.no_grad():
        call = _Call(ordered, buckets)
        prediction = call.guided(predict(unet, *call.inputs()))
        moves = call.euler_moves(prediction)
        broken: dict[Trajectory, Exception] = {}
        for picture, own in zip(ordered, prediction.split(1), strict=True):
            try:
                if picture in moves:
                    picture.move(*moves[picture])
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
    """Returns what the UNet says of the noise, a row each. The one place that calls it: compiled code and CUDA graphs belong to
    the form of a call, so that measuring in another form would compile everything twice.
    """
    return unet(
        inputs,
        sent(times, inputs.device),
        encoder_hidden_states=embeddings,
        added_cond_kwargs={"text_embeds": pooled, "time_ids": time_ids},
        return_dict=False,
    )[0]


class _Call:
    """The tensors of one call; its pictures with guidance come first. What differs from picture to picture is sent at once."""

    def __init__(self, pictures: Sequence[Trajectory], buckets: Sequence[int]) -> None:
        self._pictures = pictures
        self._rows = [picture for picture in pictures for _ in range(picture.rows)]
        self._missing = padded_rows(len(self._rows), buckets) - len(self._rows)
        self._with_guidance = sum(picture.rows == 2 for picture in pictures)
        self._euler: dict[tuple[bool, bool], list[Trajectory]] = {}
        for picture in pictures:
            if picture.euler is not None:
                self._euler.setdefault((picture.euler.ancestral, picture.euler.velocity), []).append(picture)
        device = pictures[0].latents.device
        self._times, self._scales, self._weights, *self._numbers = sent_together(
            [
                self._filled(torch.stack([picture.timestep for picture in self._rows]).float()),
                torch.stack([picture.input_scale for picture in self._rows]),
                torch.tensor([picture.guidance.scale for picture in pictures[: self._with_guidance]]),
                *(_numbers_of(block) for block in self._euler.values()),
            ],
            device,
        )

    def inputs(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor]:
        """What `predict` takes."""
        latents = torch.cat([picture.latents for picture in self._rows])
        if self._euler:
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
        """One row a picture."""
        pairs = 2 * self._with_guidance
        if not pairs:
            return prediction[: len(self._rows)]
        negative, positive = prediction[:pairs].unflatten(0, (-1, 2)).unbind(1)
        guided = negative + (column(self._weights) * (positive - negative)).to(prediction.dtype)
        guided = self._rescaled(guided, positive)
        return guided if pairs == len(self._rows) else torch.cat([guided, prediction[pairs : len(self._rows)]])

    def euler_moves(self, prediction: torch.Tensor) -> Moves:
        """Where Euler's pictures go; `prediction` has a row for each picture."""
        rows = dict(zip(self._pictures, prediction.split(1), strict=True))
        moves: Moves = {}
        for ((ancestral, velocity), block), numbers in zip(self._euler.items(), self._numbers, strict=True):
            whole = len(block) == len(self._pictures)
            own = prediction if whole else torch.cat([rows[picture] for picture in block])
            noise = [picture.step_noise(own.dtype) for picture in block] if ancestral else None
            latents, clean = euler_step(
                torch.cat([picture.latents for picture in block]),
                own,
                numbers.view(-1, len(block)),
                None if noise is None else sent(torch.cat(noise), own.device),
                velocity=velocity,
            )
            moves.update(zip(block, zip(latents.split(1), clean.split(1), strict=True), strict=True))
        return moves

    def _rescaled(self, guided: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
        """Each by itself: a deviation over many pictures at once may be summed up in another order."""
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


def _numbers_of(block: Sequence[Trajectory]) -> torch.Tensor:
    """Column after column, as `euler_step` takes them."""
    steps: list[EulerSteps] = [picture.euler for picture in block if picture.euler is not None]
    rows = [own.numbers[picture.step] for own, picture in zip(steps, block, strict=True)]
    return torch.stack(rows, dim=1).flatten()
