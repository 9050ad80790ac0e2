"""A tiny ViT of random weights, saved as a picture classifier that transformers loads."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from transformers import ViTConfig, ViTForImageClassification
from transformers.models.vit.image_processing_pil_vit import ViTImageProcessorPil

from bot.domain.profile import ClassifierProfile, Licence, ModelSource
from bot.domain.rating_scale import RatingScale
from bot.domain.safety import Rating
from bot.inference.classifier.classifier import TransformersClassifier

SIDE = 16  # pixels
LABELS = ("drawing", "bare", "neutral")
SCALE = RatingScale(labels={"bare": Rating.EXPLICIT, "drawing": Rating.GENERAL, "neutral": Rating.GENERAL})


def build_vit(folder: Path) -> Path:
    """Its answers differ from picture to picture."""
    torch.manual_seed(1)
    config = ViTConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=32,
        image_size=SIDE,
        patch_size=8,
        initializer_range=1.0,
        id2label=dict(enumerate(LABELS)),
        label2id={label: index for index, label in enumerate(LABELS)},
    )
    ViTForImageClassification(config).save_pretrained(folder)
    processor = ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    processor.save_pretrained(folder)
    return folder


def profile_of(source: Path | str, scale: RatingScale = SCALE) -> ClassifierProfile:
    """Of a folder, or of a repo by its name."""
    place = ModelSource(folder=source) if isinstance(source, Path) else ModelSource(repo=source)
    return ClassifierProfile(source=place, scale=scale, licence=Licence(name="MIT"))


async def rate(profile: ClassifierProfile, *pictures: bytes, **settings: Any) -> tuple[Rating, ...]:
    """Load, look once, close."""
    classifier = TransformersClassifier(profile, device="cpu", **settings)
    try:
        return await classifier.ratings(pictures)
    finally:
        await classifier.close()
