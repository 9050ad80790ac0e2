"""A loaded generator whose parts can be made to fail, for one member's request or for everybody."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import pytest
import torch

from bot.domain.request import GenerationRequest
from bot.inference.denoising.denoising_state import DenoisingState
from bot.inference.engine import active_request, decoding, engine, preparation, previews, watchdog
from bot.inference.generator import DiffusersGenerator


class Device:
    """Knows at any moment whose pictures are in hand. `victim` is the request that suffers; `step` from which on.

    `hits` counts what was done to it. What is planted lasts until `repaired`.
    """

    def __init__(
        self, generator: DiffusersGenerator, monkeypatch: pytest.MonkeyPatch, victim: GenerationRequest, step: int
    ) -> None:
        self.generator = generator
        self.monkeypatch = monkeypatch
        self.victim = victim
        self.step = step
        self.hits = 0
        self.released = threading.Event()
        self.in_call: Sequence[DenoisingState] = ()
        self.preparing = self.decoding = False
        self._victims: list[DenoisingState] = []
        self._handles: list[Any] = []
        self._weights = {name: tensor.clone() for name, tensor in self.vae.state_dict().items()}
        self._upcasts = self.vae.config.force_upcast
        self._observe()

    @property
    def pipeline(self) -> Any:
        return self.generator._session.model.text2img

    @property
    def vae(self) -> Any:
        return self.pipeline.vae

    @property
    def struck(self) -> bool:
        """Whether a call of the UNet takes the step of the victim's that shall fail, or a later one."""
        return any(self.is_victim(picture) and picture.step >= self.step for picture in self.in_call)

    def is_victim(self, picture: DenoisingState) -> bool:
        return any(picture is one for one in self._victims)

    def hit(self, times: int | None = None) -> bool:
        """Whether to fail now: always, or only the first `times`."""
        if times is not None and self.hits >= times:
            return False
        self.hits += 1
        return True

    def _observe(self) -> None:
        prepare, denoise, decode = preparation.Preparer.prepare, engine.denoise, decoding.decode

        def prepared(preparer: Any, order: Any) -> Any:
            self.preparing = order.request.prompt == self.victim.prompt
            try:
                pictures, fit = prepare(preparer, order)
            finally:
                mine, self.preparing = self.preparing, False
            if mine:
                self._victims.extend(pictures)
            return pictures, fit

        def denoised(unet: Any, pictures: Sequence[DenoisingState], *more: Any) -> Any:
            self.in_call = pictures
            return denoise(unet, pictures, *more)

        def decoded(pipeline: Any, latents: torch.Tensor, *more: Any) -> Any:
            self.decoding = any(latents is picture.latents for picture in self._victims)
            return decode(pipeline, latents, *more)

        self.monkeypatch.setattr(preparation.Preparer, "prepare", prepared)
        self.monkeypatch.setattr(engine, "denoise", denoised)
        self.monkeypatch.setattr(decoding, "decode", decoded)

    # Where a fault can sit. `change` may raise, or give another output than the one it was given.

    def in_unet(self, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        handle = self.pipeline.unet.register_forward_hook(lambda _, __, output: (change(output[0]),))
        self._handles.append(handle)

    def in_text_encoder(self, change: Callable[[], None]) -> None:
        self._handles.append(self.pipeline.text_encoder_2.register_forward_hook(lambda *_: change()))

    def in_decoder(self, change: Callable[[torch.Tensor], torch.Tensor]) -> None:
        self._handles.append(self.vae.decoder.register_forward_hook(lambda _, __, pixels: change(pixels)))

    def in_scheduler(self, change: Callable[[], None]) -> None:
        move = DenoisingState.move

        def moved(picture: DenoisingState, *outcome: torch.Tensor) -> None:
            if self.is_victim(picture) and picture.step >= self.step:
                change()
            move(picture, *outcome)

        self.monkeypatch.setattr(DenoisingState, "move", moved)

    def in_files(self, change: Callable[[], None]) -> None:
        encode = active_request.encode_png

        def encoded(image: Any, text: str) -> bytes:
            if self.victim.prompt in text:
                change()
            return encode(image, text)

        self.monkeypatch.setattr(active_request, "encode_png", encoded)

    def in_previews(self, change: Callable[[], None]) -> None:
        self.monkeypatch.setattr(previews, "SHARE", 1.0)  # on a busy machine there would be none
        self.monkeypatch.setattr(self.generator._session.model.preview, "look", lambda *_: change())

    def overflowing_vae(self) -> None:
        """In float16 everything is infinite behind the first layer; in float32 the norm takes the factor out again."""
        self.vae.register_to_config(force_upcast=False)  # as the configuration of a VAE says that was mended for float16
        with torch.no_grad():
            self.vae.decoder.conv_in.weight.mul_(30_000)
        self.vae.half()

    def hang(self) -> None:
        """Never return; and let nobody wait long to find that out."""
        for name in ("HANG_SECONDS", "FIRST_CALLS_SECONDS", "HANGS"):
            setattr(watchdog, name, 0.0)
        self.released.wait()

    def repair(self) -> None:
        self.released.set()
        for handle in self._handles:
            handle.remove()
        self.vae.float().load_state_dict(self._weights)
        self.vae.register_to_config(force_upcast=self._upcasts)
        self.generator._session.engine._room = None  # a call that did not fit is remembered for good


@contextmanager
def breakable(generator: DiffusersGenerator, victim: GenerationRequest, step: int) -> Generator[Device]:
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setattr("bot.inference.engine.active_request.PREVIEW_SECONDS", 0.0)
        monkeypatch.setattr("bot.inference.generator.WATCH_INTERVAL", 0.05)
        for name in ("HANG_SECONDS", "FIRST_CALLS_SECONDS", "HANGS"):
            monkeypatch.setattr(watchdog, name, getattr(watchdog, name))  # `hang` changes them
        device = Device(generator, monkeypatch, victim, step)
        try:
            yield device
        finally:
            device.repair()
