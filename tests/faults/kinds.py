"""The kinds of faults: where each one sits, and what may become of the request that it hits."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import torch
from safetensors.torch import save_file

from tests.faults.device import Device

TORN = "torn"  # the style whose file is damaged
LOST = "CUDA error: an illegal memory access was encountered"
NO_ROOM = ("CUDA out of memory. Tried to allocate 2.00 GiB", "cuDNN error: CUDNN_STATUS_ALLOC_FAILED", "not enough memory")


@dataclass(frozen=True)
class Kind:
    """`plant(device, luck)` says what the victim must hear: part of a sentence, or None where its pictures are drawn.

    `deadly`: everybody's work stops, and a new process has to draw it all. `changes_the_model`: the pictures are
    sound, but others than before.
    """

    plant: Callable[[Device, random.Random], str | None]
    deadly: bool = False
    changes_the_model: bool = False
    style: str | None = None

    @property
    def name(self) -> str:
        return self.plant.__name__


NO_MEMORY, EMPTY, BUG = "Choose a smaller size", "came out empty", "Something went wrong while drawing this"


def out_of_memory(luck: random.Random) -> Exception:
    text = luck.choice(NO_ROOM)
    return torch.OutOfMemoryError(text) if "CUDA" in text else RuntimeError(text)


def no_room_for_several(device: Device, luck: random.Random) -> None:
    def change(prediction: torch.Tensor) -> torch.Tensor:
        if len(device.in_call) > 1 and device.hit():
            raise out_of_memory(luck)
        return prediction

    device.in_unet(change)


def no_room_for_one_picture(device: Device, luck: random.Random) -> str:
    def change(prediction: torch.Tensor) -> torch.Tensor:
        if device.struck and device.hit():
            raise out_of_memory(luck)
        return prediction

    device.in_unet(change)
    return NO_MEMORY


def no_room_to_decode(device: Device, luck: random.Random, times: int | None) -> None:
    def change(decoded: torch.Tensor) -> torch.Tensor:
        if device.decoding and device.hit(times):
            raise out_of_memory(luck)
        return decoded

    device.in_decoder(change)


def no_room_to_decode_once(device: Device, luck: random.Random) -> None:
    no_room_to_decode(device, luck, 1)


def no_room_to_decode_ever(device: Device, luck: random.Random) -> str:
    no_room_to_decode(device, luck, None)
    return NO_MEMORY


def no_room_for_the_prompt(device: Device, luck: random.Random) -> str | None:
    """Out of memory in the text encoder: once, or whenever it is tried."""
    times = luck.choice([1, None])

    def change() -> None:
        if device.preparing and device.hit(times):
            raise out_of_memory(luck)

    device.in_text_encoder(change)
    return NO_MEMORY if times is None else None


def spoilt_latents(device: Device, value: float) -> str:
    def change(prediction: torch.Tensor) -> torch.Tensor:
        if not device.struck:
            return prediction
        device.hit()
        spoilt, row = prediction.clone(), 0
        for picture in sorted(device.in_call, key=lambda picture: -picture.rows):  # the order of a call's rows
            if device.is_victim(picture):
                spoilt[row : row + picture.rows] = value
            row += picture.rows
        return spoilt

    device.in_unet(change)
    return EMPTY


def latents_that_are_no_numbers(device: Device, luck: random.Random) -> str:
    del luck
    return spoilt_latents(device, float("nan"))


def latents_without_end(device: Device, luck: random.Random) -> str:
    return spoilt_latents(device, luck.choice([float("inf"), float("-inf")]))


def a_vae_that_overflows_in_float16(device: Device, luck: random.Random) -> None:
    del luck
    device.overflowing_vae()
    device.hit()


def a_vae_that_gives_nothing(device: Device, luck: random.Random) -> str:
    """Black, white, grey, or no numbers; in whatever type."""
    value = luck.choice([-1.0, 1.0, 0.0, float("nan")])

    def change(decoded: torch.Tensor) -> torch.Tensor:
        return torch.full_like(decoded, value) if device.decoding and device.hit() else decoded

    device.in_decoder(change)
    return EMPTY


def a_bug(device: Device, luck: random.Random) -> tuple[Callable[[], None], str | None]:
    """Raises something that nobody expects: once, or whenever it is tried."""
    times = luck.choice([1, None])
    error = luck.choice([RuntimeError, ValueError, ZeroDivisionError, AssertionError])

    def breaks() -> None:
        if device.hit(times):
            raise error("a bug")

    return breaks, BUG if times is None else None


def a_bug_in_the_unet(device: Device, luck: random.Random) -> str | None:
    """One that passes may pass in the crowd, where everybody tries again alone."""
    breaks, sentence = a_bug(device, luck)

    def change(prediction: torch.Tensor) -> torch.Tensor:
        if device.struck:
            breaks()
        return prediction

    device.in_unet(change)
    return sentence


def a_bug_in_the_text_encoder(device: Device, luck: random.Random) -> str | None:
    breaks, sentence = a_bug(device, luck)
    device.in_text_encoder(lambda: breaks() if device.preparing else None)
    return sentence


def a_bug_in_the_scheduler(device: Device, luck: random.Random) -> str | None:
    """Mostly at the last step, where others in the same call are done."""
    if luck.random() < 0.7:
        device.step = device.victim.num_inference_steps - 1
    breaks, sentence = a_bug(device, luck)
    device.in_scheduler(breaks)
    return sentence


def a_bug_in_the_files(device: Device, luck: random.Random) -> str | None:
    breaks, sentence = a_bug(device, luck)
    device.in_files(breaks)
    return sentence


def a_bug_in_the_previews(device: Device, luck: random.Random) -> None:
    del luck

    def breaks() -> None:
        device.hit()
        raise ValueError("a bug")

    device.in_previews(breaks)


def a_damaged_style(device: Device, luck: random.Random) -> str:
    """Cut short, overwritten, empty, or of another model."""
    file = device.generator._catalog.styles[TORN].file
    whole = (file.parent / "whole.safetensors").read_bytes()
    cut = luck.randrange(len(whole))
    way = luck.randrange(4)
    if way == 3:
        save_file({"lora_unet_nowhere.lora_down.weight": torch.zeros(4, 3)}, file)
    else:
        file.write_bytes([whole[:cut], luck.randbytes(cut), b""][way])
    device.hit()
    return "something's wrong with its file"


def somewhere(device: Device, luck: random.Random, strike: Callable[[], None]) -> None:
    """In the UNet, the VAE, or a text encoder, when they work for the victim."""

    def in_unet(prediction: torch.Tensor) -> torch.Tensor:
        if device.struck and device.hit():
            strike()
        return prediction

    def in_decoder(decoded: torch.Tensor) -> torch.Tensor:
        if device.decoding and device.hit():
            strike()
        return decoded

    places = [
        lambda: device.in_unet(in_unet),
        lambda: device.in_decoder(in_decoder),
        lambda: device.in_text_encoder(lambda: strike() if device.preparing and device.hit() else None),
        lambda: device.in_scheduler(lambda: strike() if device.hit() else None),
    ]
    luck.choice(places)()


def a_lost_device(device: Device, luck: random.Random) -> None:
    def strike() -> None:
        raise RuntimeError(LOST)

    somewhere(device, luck, strike)


def a_step_that_hangs(device: Device, luck: random.Random) -> None:
    somewhere(device, luck, device.hang)


KINDS = (
    Kind(no_room_for_several),
    Kind(no_room_for_one_picture),
    Kind(no_room_to_decode_once),
    Kind(no_room_to_decode_ever),
    Kind(no_room_for_the_prompt),
    Kind(latents_that_are_no_numbers),
    Kind(latents_without_end),
    Kind(a_vae_that_overflows_in_float16, changes_the_model=True),
    Kind(a_vae_that_gives_nothing),
    Kind(a_bug_in_the_unet),
    Kind(a_bug_in_the_text_encoder),
    Kind(a_bug_in_the_scheduler),
    Kind(a_bug_in_the_files),
    Kind(a_bug_in_the_previews),
    Kind(a_damaged_style, style=TORN),
    Kind(a_lost_device, deadly=True),
    Kind(a_step_that_hangs, deadly=True),
)
