"""diffusers' own pipelines as the judge of the engine: every sampler, in every kind of request, alone and in a crowd.

`python -m tests.inference.oracle` prints the largest differences as a table.
"""

from __future__ import annotations

import asyncio
import io
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bot.domain.profile import ModelSource
from bot.domain.request import GenerationRequest, InitImage
from bot.domain.sampler import SAMPLERS
from bot.inference.engine_settings import EngineSettings
from bot.inference.generator import DiffusersGenerator
from bot.inference.loading.pipelines import load_model
from bot.inference.loras.loader import LoraLoader
from bot.inference.session import ModelSession, open_session
from tests.inference.conftest import NEARLY_FREE, draw, make_request, noise_png, pixels
from tests.inference.fake_graphs import FakeGraphs
from tests.tiny_sdxl import LORA_FILE, LORA_REPO, MODEL_REPO, TinyModels, pastel_style, tiny_catalog, tiny_profile

LONG_PROMPT = ", ".join(f"1girl, (green hair:1.3), blue eyes, hat {number}" for number in range(12))
STRENGTH = 0.6
CROWD = 1  # of 255: what the rounding of a shared call may change


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What a request asks for besides its sampler, and what the model is; `profile` changes tests.tiny_sdxl's."""

    request: Mapping[str, Any] = field(default_factory=dict)
    profile: Mapping[str, Any] = field(default_factory=dict)
    with_image: bool = False


KINDS: Mapping[str, Kind] = {
    "text2img": Kind(),
    "img2img": Kind(request={"init_image": InitImage(key="x", strength=STRENGTH)}, with_image=True),
    "LoRA": Kind(request={"style": "pastel", "adapter_weight": 0.7}),
    "long prompt": Kind(request={"prompt": LONG_PROMPT}),
    "no guidance": Kind(request={"guidance_scale": 1.0}),
    "v-prediction": Kind(profile={"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "guidance_rescale": 0.7}),
}


@dataclass(frozen=True, kw_only=True)
class Difference:
    """The largest of any channel of any pixel, of 255; `rows` is the largest call of the UNet that the crowd has shared."""

    alone: int
    crowd: int
    rows: int


class Oracle:
    """One kind of request on the tiny model: a generator of ours, and the pipelines of diffusers over weights of their own."""

    def __init__(self, models: TinyModels, kind: Kind, *, graphs: FakeGraphs | None = None) -> None:
        """With `graphs` our calls of the UNet are replayed."""
        self._models = models
        self._kind = kind
        self.profile = tiny_profile(ModelSource(repo=MODEL_REPO), **kind.profile)
        catalog = tiny_catalog(self.profile, pastel_style())
        self.generator = DiffusersGenerator(
            self.profile,
            catalog,
            device="cpu",
            cache_dir=models.cache_dir,
            make_session=lambda: self._session(graphs),
        )
        self._rows = 0
        self._pipeline = self._load()
        self._init = noise_png() if kind.with_image else None

    def _session(self, graphs: FakeGraphs | None) -> ModelSession:
        session = self._plain() if graphs is None else self._graphed(graphs)

        def note(unet: object, inputs: tuple[torch.Tensor, ...]) -> None:
            del unet
            self._rows = max(self._rows, len(inputs[0]))

        session.model.text2img.unet.register_forward_pre_hook(note)
        return session

    def request(self, sampler: str, **changes: Any) -> GenerationRequest:
        values = {"scheduler": sampler, "num_inference_steps": 6} | dict(self._kind.request) | changes
        return make_request(**values)

    async def difference(self, sampler: str) -> Difference:
        """Draw alone, then among others of other seeds, steps, guidance and samplers."""
        request = self.request(sampler)
        wanted = self.judge(request)
        alone = await self._drawn(request)
        others = [
            self.request(sampler, seed=7, num_inference_steps=9),
            self.request("EulerDiscreteScheduler", seed=8, guidance_scale=3.0),
            self.request("LCMScheduler", seed=9, guidance_scale=1.0, num_inference_steps=4),
        ]
        self._rows = 0
        crowd = (await self.drawn_together([request, *others]))[0]
        return Difference(alone=_distance(alone, wanted), crowd=_distance(crowd, wanted), rows=self._rows)

    def judge(self, request: GenerationRequest) -> np.ndarray:
        """What diffusers draws. Long prompts are encoded by our encoder, which tests of its own judge."""
        pipeline, profile = self._pipeline, self.profile
        pipeline.scheduler = self._scheduler(request)
        arguments: dict[str, Any] = {
            "num_inference_steps": request.num_inference_steps,
            "guidance_scale": request.guidance_scale,
            "guidance_rescale": profile.guidance_rescale,
            "original_size": profile.original_size,
            "target_size": profile.target_size,
            "generator": torch.Generator().manual_seed(request.seed),
        }
        if request.prompt == LONG_PROMPT:
            arguments |= self._encoded(request.prompt)
        else:
            arguments |= {"prompt": request.prompt, "negative_prompt": profile.negative_prompt}
        if self._init is not None:
            arguments |= {"image": Image.open(io.BytesIO(self._init)), "strength": STRENGTH}
        else:
            arguments |= {"width": request.width, "height": request.height}
        return np.asarray(pipeline(**arguments).images[0])

    def _plain(self) -> ModelSession:
        settings = EngineSettings(batch=8, curve=NEARLY_FREE)
        return open_session(self.profile, settings, device="cpu", cache_dir=self._models.cache_dir)

    def _graphed(self, graphs: FakeGraphs) -> ModelSession:
        model = load_model(self.profile, device="cpu", cache_dir=self._models.cache_dir)
        graphs.unet = model.text2img.unet
        settings = EngineSettings(batch=8, curve=NEARLY_FREE, graphs="on")
        return ModelSession(model, LoraLoader(model.text2img, cache_dir=self._models.cache_dir), settings, backend=graphs)

    def _load(self) -> Any:
        from diffusers import StableDiffusionXLImg2ImgPipeline, StableDiffusionXLPipeline

        cls: Any = StableDiffusionXLImg2ImgPipeline if self._kind.with_image else StableDiffusionXLPipeline
        where: dict[str, Any] = {"cache_dir": self._models.cache_dir, "local_files_only": True}
        pipeline = cls.from_pretrained(MODEL_REPO, variant="fp16", dtype=torch.float32, add_watermarker=False, **where)
        if "style" in self._kind.request:
            pipeline.load_lora_weights(LORA_REPO, weight_name=LORA_FILE, adapter_name="pastel_lora", **where)
            pipeline.fuse_lora(lora_scale=self._kind.request["adapter_weight"])
        pipeline.set_progress_bar_config(disable=True)
        self._config = pipeline.scheduler.config
        return pipeline

    def _scheduler(self, request: GenerationRequest) -> Any:
        """As diffusers' documentation builds it, on settings that say of latents what SDXL's own say: they are not clipped."""
        import diffusers

        sampler = SAMPLERS[request.scheduler or ""]
        options: dict[str, Any] = {"clip_sample": False} | dict.fromkeys(sampler.options, True)
        if self.profile.prediction_type == "v_prediction":
            options |= {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}
        return getattr(diffusers, sampler.scheduler).from_config(self._config, **options)

    def _encoded(self, prompt: str) -> dict[str, torch.Tensor]:
        from bot.inference.prompts.encoder import PromptEncoder

        text = PromptEncoder(self._pipeline).encode(prompt, self.profile.negative_prompt)
        return {
            "prompt_embeds": text.prompt_embeds,
            "pooled_prompt_embeds": text.pooled,
            "negative_prompt_embeds": text.negative_prompt_embeds,
            "negative_pooled_prompt_embeds": text.negative_pooled,
        }

    async def drawn_together(self, requests: Sequence[GenerationRequest]) -> list[np.ndarray]:
        """Each of another member, in calls that they share."""
        return await asyncio.gather(*(self._drawn(request, member) for member, request in enumerate(requests)))

    async def _drawn(self, request: GenerationRequest, member: int = 1) -> np.ndarray:
        return pixels((await draw(self.generator, request, self._init, member=member)).images[0].data)


def _distance(one: np.ndarray, other: np.ndarray) -> int:
    return int(np.abs(one.astype(int) - other.astype(int)).max())


async def _table() -> str:
    lines = ["| sampler | " + " | ".join(KINDS) + " |", "|---" * (len(KINDS) + 1) + "|"]
    with tempfile.TemporaryDirectory() as folder:
        models = TinyModels.create(Path(folder))
        oracles = {name: Oracle(models, kind) for name, kind in KINDS.items()}
        for name, sampler in SAMPLERS.items():
            found = [await oracle.difference(name) for oracle in oracles.values()]
            lines.append(f"| {sampler.title} | " + " | ".join(f"{one.alone}, {one.crowd}" for one in found) + " |")
        for oracle in oracles.values():
            await oracle.generator.close()
    return "\n".join(lines)


if __name__ == "__main__":
    torch.set_num_threads(1)  # two that share a busy core wait for one another
    print("Largest difference to diffusers' own pipeline, of 255: alone, in a crowd")
    print(asyncio.run(_table()))
