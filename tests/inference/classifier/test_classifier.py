"""The real path of the picture classifier, with a tiny ViT that is loaded as a real one: ratings, threads, the end."""

from __future__ import annotations

import asyncio
import io
import logging
import threading
from pathlib import Path
from typing import Any
from unittest.mock import create_autospec

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import ViTForImageClassification

from bot.domain.rating_scale import RatingScale
from bot.domain.safety import Rating
from bot.inference import streams
from bot.inference.classifier.classifier import ClassifierClosedError, TransformersClassifier
from tests.inference.conftest import noise_png
from tests.inference.tiny_vit import LABELS, SIDE, profile_of, rate
from tests.tiny_sdxl import copy_of


def answers(folder: Path, pictures: list[bytes]) -> list[str]:
    """The likeliest label of each picture, computed by hand: resized, scaled to -1..1, one at a time."""
    model = ViTForImageClassification.from_pretrained(folder).eval()
    labels: list[str] = []
    for picture in pictures:
        image = Image.open(io.BytesIO(picture)).convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
        pixels = torch.from_numpy(np.asarray(image, dtype=np.float32) / 127.5 - 1).permute(2, 0, 1)
        with torch.inference_mode():
            labels.append(LABELS[int(model(pixel_values=pixels[None]).logits.argmax())])
    return labels


async def test_each_picture_gets_the_rating_of_its_own_label_in_order(vit: Path) -> None:
    pictures = [noise_png(seed, size=(40, 24)) for seed in range(11)]
    expected = answers(vit, pictures)
    one_by_one = RatingScale(
        labels={"drawing": Rating.SENSITIVE, "bare": Rating.EXPLICIT, "neutral": Rating.GENERAL},
        thresholds={rating: 0.5 for rating in (Rating.SENSITIVE, Rating.QUESTIONABLE, Rating.EXPLICIT)},
    )

    ratings = await rate(profile_of(vit, one_by_one), *pictures)

    assert len(set(expected)) == 3
    assert ratings == tuple(one_by_one.labels[label] for label in expected)


@pytest.mark.parametrize("label", LABELS)
async def test_the_profile_says_what_a_label_means(vit: Path, label: str) -> None:
    """Whichever label is the explicit one, exactly the pictures that show it are explicit."""
    pictures = [noise_png(seed) for seed in range(9)]
    scale = RatingScale(labels={name: Rating.EXPLICIT if name == label else Rating.GENERAL for name in LABELS})

    ratings = await rate(profile_of(vit, scale), *pictures)

    assert [rating is Rating.EXPLICIT for rating in ratings] == [answer == label for answer in answers(vit, pictures)]


async def test_pictures_are_looked_at_off_the_loops_thread_in_batches_of_four(
    vit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from bot.inference.classifier.model import LoadedClassifier

    seen: list[tuple[int, threading.Thread]] = []
    look = LoadedClassifier.rate

    def watched(self: LoadedClassifier, pictures: tuple[bytes, ...]) -> tuple[Rating, ...]:
        seen.append((len(pictures), threading.current_thread()))
        return look(self, pictures)

    monkeypatch.setattr(LoadedClassifier, "rate", watched)
    monkeypatch.setattr("bot.inference.classifier.classifier.CLOSE_PATIENCE", 120.0)
    classifier = TransformersClassifier(profile_of(vit), device="cpu")
    await classifier.load()
    ratings = await classifier.ratings([noise_png(seed) for seed in range(6)])
    await classifier.close()

    assert len(ratings) == 6
    assert [count for count, _ in seen] == [4, 2]
    (thread,) = {thread for _, thread in seen}
    assert thread.name.startswith("pastel-classifier")
    assert not thread.is_alive()


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda _: b"no picture", lambda _: b""])
async def test_a_file_that_is_no_picture_is_a_fault_and_no_rating(vit: Path, damage: Any) -> None:
    with pytest.raises(OSError, match=r"image file|truncated|cannot identify"):
        await rate(profile_of(vit), noise_png(), damage(noise_png()))


async def test_weights_that_answer_with_no_numbers_are_a_fault_and_no_rating(vit: Path, tmp_path: Path) -> None:
    folder = copy_of(vit, tmp_path / "judge")
    weights = load_file(folder / "model.safetensors")
    save_file(weights | {"classifier.bias": torch.full((3,), torch.nan)}, folder / "model.safetensors", {"format": "pt"})

    with pytest.raises(ValueError, match="no probabilities"):
        await rate(profile_of(folder), noise_png())


async def stuck_in_a_look(vit: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[TransformersClassifier, threading.Event, Any]:
    """A classifier whose thread hangs until the event is set, and the task that waits for it."""
    from bot.inference.classifier.model import LoadedClassifier

    entered, release = threading.Event(), threading.Event()

    def hang(*_: Any) -> tuple[Rating, ...]:
        entered.set()
        release.wait(20)
        return (Rating.GENERAL,)

    monkeypatch.setattr(LoadedClassifier, "rate", hang)
    classifier = TransformersClassifier(profile_of(vit), device="cpu")
    task = asyncio.create_task(classifier.ratings([noise_png()]))
    await asyncio.to_thread(entered.wait)
    return classifier, release, task


async def test_a_caller_that_gives_up_need_not_wait_for_a_look_that_hangs(vit: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    classifier, release, task = await stuck_in_a_look(vit, monkeypatch)

    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    release.set()

    assert await classifier.ratings([noise_png()]) == (Rating.GENERAL,)
    await classifier.close()


async def test_closing_gives_up_a_look_that_hangs_and_says_so(
    vit: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("bot.inference.classifier.classifier.CLOSE_PATIENCE", 0.0)
    classifier, release, task = await stuck_in_a_look(vit, monkeypatch)

    with caplog.at_level(logging.WARNING):
        await classifier.close()
    release.set()
    await task

    assert "ends without waiting" in caplog.text


async def test_nothing_is_rated_after_closing_and_closing_twice_is_no_fault(vit: Path) -> None:
    classifier = TransformersClassifier(profile_of(vit), device="cpu")
    await classifier.close()
    await classifier.close()

    with pytest.raises(ClassifierClosedError):
        await classifier.ratings([noise_png()])


async def test_the_classifiers_thread_has_a_stream_of_its_own_before_it_rates(
    vit: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[tuple[str, torch.device]] = []
    put_first = create_autospec(
        streams.put_first, side_effect=lambda device: seen.append((threading.current_thread().name, device))
    )
    monkeypatch.setattr(streams, "put_first", put_first)

    await rate(profile_of(vit), noise_png(1), noise_png(2))

    assert [(name.partition("_")[0], device.type) for name, device in seen] == [("pastel-classifier", "cpu")]
