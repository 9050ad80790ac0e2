"""Large pictures pass the VAE in tiles, all others at once."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest

from bot.domain.profile import ModelSource
from bot.domain.request import InitImage, upscaled
from bot.inference.engine.cancellation import RequestCancelledError
from bot.inference.engine.decoding import is_large, tiling
from bot.inference.session import ModelSession
from tests.inference.conftest import make_request, noise_png, pixels
from tests.inference.engines import Bench, Ticket, open_tiny_session
from tests.tiny_sdxl import TinyModels, tiny_profile

TILE = 64  # pixels; the tiny model's own is larger than its upscales


@dataclass
class Calls:
    """How often each half of the VAE worked."""

    encoder: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])
    decoder: list[tuple[int, ...]] = field(default_factory=list[tuple[int, ...]])


@pytest.fixture(scope="module")
def session(models: TinyModels) -> Iterator[ModelSession]:
    opened = open_tiny_session(models)
    vae = opened.model.text2img.vae
    vae.tile_sample_min_size, vae.tile_latent_min_size = TILE, TILE // 8
    yield opened
    opened.close(RequestCancelledError())


@contextmanager
def vae_calls(vae: Any) -> Iterator[Calls]:
    calls = Calls()

    def recorder(sizes: list[tuple[int, ...]]) -> Any:
        return lambda _, arguments: sizes.append(tuple(arguments[0].shape[-2:]))

    handles = [getattr(vae, half).register_forward_pre_hook(recorder(getattr(calls, half))) for half in ("encoder", "decoder")]
    try:
        yield calls
    finally:
        for handle in handles:
            handle.remove()


def drawn(session: ModelSession, side: int) -> Ticket:
    """An img2img of `side` x `side`: what it starts from is encoded, what comes out decoded."""
    bench = Bench(session, batch=4)
    request = make_request(width=side, height=side, init_image=InitImage(key="x", strength=0.5))
    ticket = bench.admit(request, noise_png(size=(side, side)))
    bench.run()
    assert ticket.error is None
    return ticket


def test_an_upscale_is_encoded_and_decoded_in_tiles(session: ModelSession) -> None:
    with vae_calls(session.model.text2img.vae) as calls:
        ticket = drawn(session, upscaled(64))

    assert len(calls.encoder) == len(calls.decoder) == 4
    assert max(calls.encoder) == (TILE, TILE)
    assert max(calls.decoder) == (TILE // 8, TILE // 8)
    assert ticket.result is not None
    assert pixels(ticket.result.images[0].data).shape == (96, 96, 3)


def test_a_picture_of_usual_size_passes_at_once_also_after_a_large_one(session: ModelSession) -> None:
    drawn(session, 96)
    with vae_calls(session.model.text2img.vae) as calls:
        drawn(session, 64)
        drawn(session, 80)  # larger than a tile, but not by much

    assert calls.encoder == [(64, 64), (80, 80)]
    assert calls.decoder == [(8, 8), (10, 10)]


def test_tiles_end_with_the_block_whatever_happens_in_it(session: ModelSession) -> None:
    vae = session.model.text2img.vae

    @tiling(vae)
    def fails() -> None:
        assert vae.use_tiling
        raise RuntimeError("full")

    with pytest.raises(RuntimeError, match="full"):
        fails()
    assert not vae.use_tiling


@pytest.mark.parametrize(
    ("width", "height", "large"), [(1024, 1024, False), (1152, 896, False), (1536, 1536, True), (960, 2304, True)]
)
def test_what_is_large_is_measured_by_the_profiles_usual_size(width: int, height: int, large: bool) -> None:
    profile = tiny_profile(ModelSource(repo="someone/model"))
    usual = profile.size(None)

    assert is_large(profile, width * usual.width // 1024, height * usual.height // 1024) is large
