from __future__ import annotations

import asyncio
import io
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from bot.domain.batch_curve import BatchCurve
from bot.domain.fairness import Share
from bot.domain.image import GenerationResult
from bot.domain.profile import ModelSource, Style
from bot.domain.progress import Progress
from bot.domain.request import GenerationRequest
from bot.inference.engine_settings import EngineSettings
from bot.inference.generator import DiffusersGenerator
from bot.inference.torch_import import import_libraries
from tests.inference.tiny_vit import build_vit
from tests.tiny_sdxl import MODEL_REPO, TinyModels, pastel_style, tiny_catalog, tiny_profile

NEARLY_FREE = BatchCurve(((1, 1.0), (2, 1.01), (4, 1.03), (8, 1.07), (16, 1.15)))  # so that calls are filled up


@pytest.fixture(scope="session", autouse=True)
def _imported_libraries() -> None:
    import_libraries()


@pytest.fixture(scope="session")
def models(tmp_path_factory: pytest.TempPathFactory) -> TinyModels:
    """Shared; copy what a test wants to damage."""
    return TinyModels.create(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a picture classifier; shared, copy what a test wants to damage."""
    return build_vit(tmp_path_factory.mktemp("vit") / "judge")


def make_generator(models: TinyModels, *styles: Style, **settings: object) -> DiffusersGenerator:
    profile = tiny_profile(ModelSource(repo=MODEL_REPO))
    catalog = tiny_catalog(profile, *(styles or (pastel_style(),)))
    settings = {
        "engine": EngineSettings(batch=4, curve=NEARLY_FREE)
    } | settings  # not measured: tests must not depend on how busy the machine is
    return DiffusersGenerator(profile, catalog, device="cpu", cache_dir=models.cache_dir, **settings)


@pytest.fixture(scope="session")
def shared_generator(models: TinyModels) -> Iterator[DiffusersGenerator]:
    """Loaded once for all tests that only draw."""
    generator = make_generator(models)
    yield generator
    asyncio.run(generator.close())


def make_request(**changes: object) -> GenerationRequest:
    values: dict[str, object] = {
        "profile": "animagine-xl",
        "prompt": "1girl, green hair",
        "width": 64,
        "height": 64,
        "num_inference_steps": 4,
        "guidance_scale": 7.0,
        "seed": 42,
    }
    return GenerationRequest(**(values | changes))


class Reports(list[Progress]):
    """Collects progress."""

    def __call__(self, progress: Progress) -> None:
        self.append(progress)


async def draw(
    generator: DiffusersGenerator, request: GenerationRequest, init: bytes | None = None, *, member: int = 1
) -> GenerationResult:
    """Only requests of different members share calls: those of one are drawn one after the other."""
    return await generator.generate(request, init_image=init, share=Share(member), on_progress=lambda _: None)


def pixels(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB"))


def noise_png(seed: int = 3, size: tuple[int, int] = (64, 64)) -> bytes:
    values = np.random.default_rng(seed).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()
