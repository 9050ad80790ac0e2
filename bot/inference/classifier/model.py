"""The loaded picture classifier: from PNG bytes to ratings. Importing this imports torch; only the classifier's thread does."""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification

from bot.domain.profile import ClassifierProfile
from bot.domain.rating_scale import RatingScale
from bot.domain.safety import Rating
from bot.errors import ModelError
from bot.inference.classifier.files import classifier_error, find_folder
from bot.inference.formats.weights import WeightsError
from bot.inference.loading.pins import CURE, check_pins
from bot.inference.loading.pipelines import choose_device

# As Any: transformers decides at run time what these classes make.
ImageProcessor: Any = AutoImageProcessor
ImageModel: Any = AutoModelForImageClassification


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedClassifier:
    """The loaded model, of the classifier's thread; only `rate_images`, which changes nothing, may be called from any."""

    model: Any
    processor: Any
    scale: RatingScale

    def rate(self, pictures: Sequence[bytes]) -> tuple[Rating, ...]:
        """Returns the ratings of one batch of PNG files. Raises any error of Pillow or the model."""
        return self.rate_images([Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures])

    def rate_images(self, images: Sequence[Image.Image]) -> tuple[Rating, ...]:
        """Returns the ratings of a batch of RGB pictures, on the calling thread and its stream. Raises its errors."""
        pixels = self.processor(images=list(images), return_tensors="pt")["pixel_values"].to(self.model.device)
        with torch.inference_mode():
            rows: list[list[float]] = self.model(pixel_values=pixels).logits.float().softmax(dim=-1).tolist()
        return tuple(self.scale.rate(self._shares(row)) for row in rows)

    def _shares(self, row: list[float]) -> dict[str, float]:
        shares: defaultdict[str, float] = defaultdict(float)
        for index, share in enumerate(row):
            shares[self.model.config.id2label[index]] += share
        return dict(shares)


def load_classifier(classifier: ClassifierProfile, *, device: str, cache_dir: Path | None = None) -> LoadedClassifier:
    """Read the weights, which are on this machine, and return the model. Raises ModelError."""
    folder = find_folder(classifier, cache_dir)
    try:
        check_pins(folder, classifier.source.sha256)
    except WeightsError as error:
        raise classifier_error(classifier, error, CURE) from None
    place, _ = choose_device(device)  # float32 everywhere: small models, and a rating must not depend on the card
    try:
        model, gaps = ImageModel.from_pretrained(
            folder,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            dtype=torch.float32,
            output_loading_info=True,
        )
        processor = ImageProcessor.from_pretrained(folder, backend="pil", local_files_only=True, trust_remote_code=False)
        _refuse_gaps(classifier, gaps)
        model = model.to(place).eval()
    except ModelError:
        raise
    except Exception as error:
        first = (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
        raise classifier_error(classifier, f"could not be loaded ({first})") from error
    return LoadedClassifier(model=model, processor=processor, scale=classifier.scale)


def _refuse_gaps(classifier: ClassifierProfile, gaps: dict[str, Any]) -> None:
    """Raises ModelError where the files lack weights; transformers fills them at random and only logs it."""
    lacking = sorted(str(key) for kind in ("missing_keys", "mismatched_keys") for key in gaps.get(kind, ()))
    if lacking:
        raise classifier_error(classifier, f"lacks {len(lacking)} tensors, such as {lacking[0]}", "Download it again.")
