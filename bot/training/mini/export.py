"""Exports the trained networks as a diffusers folder, with sheets that show what they can do."""

# diffusers exports lazily and annotates tuples of any length as tuple[int]; torch and transformers are partly unannotated.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, StableDiffusionXLPipeline
from PIL import Image
from transformers import CLIPTokenizer

from bot.training.mini.artist.render import contact_sheet
from bot.training.mini.networks import Denoiser, build_scheduler

STEPS, GUIDANCE = 20, 4.0
NEGATIVE = (
    "lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, cropped, worst quality, "
    "low quality, normal quality, jpeg artifacts, signature, watermark, username, blurry"
)
PROMPTS = (
    "masterpiece, best quality, 1girl, green hair, sweater, looking at viewer, upper body, beanie, outdoors, night, turtleneck",
    "1girl, blonde hair, twintails, blue eyes, school uniform, blue sky, smile",
    "1boy, red hair, short hair, black hoodie, sunset, angry",
    "1girl, pink hair, long hair, cat ears, pink background, closed eyes, blush",
    "1girl, purple hair, witch hat, night, open mouth",
    "1girl, white_hair, red_eyes, kimono, cherry_blossoms",
    "1boy, brown hair, glasses, collared shirt, indoors",
    "1girl, aqua hair, bob cut, yellow dress, white background",
    "1girl, black hair, ponytail, snow, red sweater",
    "1girl, blue hair, braid, headphones, forest",
    "1boy, silver hair, armor, blue sky",
    "orange hair, crown, purple turtleneck, yellow background, girl",
    "1GIRL, BROWN HAIR, HAIR BOW, PINK SWEATER, SUNSET",
    "1girl, hair flower, blonde hair, green dress, forest",
    "best quality",
    "",
)


def export_pipeline(folder: Path, denoiser: Denoiser, tokenizer: CLIPTokenizer, vae: AutoencoderKL) -> None:
    """Write a StableDiffusionXLPipeline in float16 safetensors; the same tokenizer serves both encoders."""
    pipeline = StableDiffusionXLPipeline(
        vae=vae,
        text_encoder=denoiser.text_encoder,
        text_encoder_2=denoiser.text_encoder_2,
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=denoiser.unet,
        scheduler=build_scheduler(),
        force_zeros_for_empty_prompt=True,
        add_watermarker=False,
    )
    pipeline.to(dtype=torch.float16)
    pipeline.save_pretrained(folder, safe_serialization=True)


def load_pipeline(folder: Path) -> StableDiffusionXLPipeline:
    """Returns the exported checkpoint in float32, as a CPU runs it."""
    pipeline: Any = StableDiffusionXLPipeline.from_pretrained(folder, dtype=torch.float32, add_watermarker=False)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def sample_sheet(folder: Path, prompts: Sequence[str] = PROMPTS, *, per_prompt: int = 2, batch: int = 8) -> Image.Image:
    """Returns each prompt with seeds 0, 1, ... in one row after another, under the default negative prompt."""
    pipeline: Any = load_pipeline(folder)
    rows = [(prompt, seed) for prompt in prompts for seed in range(per_prompt)]
    pictures: list[Image.Image] = []
    for at in range(0, len(rows), batch):
        part = rows[at : at + batch]
        pictures += pipeline(
            prompt=[prompt for prompt, _ in part],
            negative_prompt=[NEGATIVE] * len(part),
            num_inference_steps=STEPS,
            guidance_scale=GUIDANCE,
            generator=[torch.Generator().manual_seed(seed) for _, seed in part],
        ).images
    return contact_sheet(pictures)
