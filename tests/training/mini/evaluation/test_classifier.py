import random
from dataclasses import replace
from functools import partial
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from bot.errors import FolderError
from bot.training.arrays import to_tensor
from bot.training.loop import Schedule, Training
from bot.training.mini.artist import palette
from bot.training.mini.artist.portrait import CHOICES, Portrait, random_portrait
from bot.training.mini.artist.render import draw_portrait
from bot.training.mini.dataset import Bucket, Pixels, draw_bucket, portrait_at
from bot.training.mini.evaluation.classifier import (
    ATTRIBUTES,
    HIDDEN,
    Classifier,
    ClassifierShape,
    ClassifierTask,
    Plan,
    judge,
    roughened,
    trained_classifier,
    values,
    visible_labels,
)

SHAPE = ClassifierShape(side=64, channels=(16, 16, 32), features=32)
BUCKET = Bucket(width=64, height=64, count=16)
SCHEDULE = Schedule(steps=40, learning_rate=3e-3, warmup=5, seed=2, log_every=10, ema_decay=0.9)
PLAN = Plan(bucket=BUCKET, seed=1, batch_size=16, schedule=SCHEDULE, shape=SHAPE)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    draw_bucket(folder, BUCKET, PLAN.seed, 1)
    return folder


def task(pictures: Pixels) -> ClassifierTask:
    portrait = partial(portrait_at, PLAN.seed, BUCKET)
    return ClassifierTask(Classifier(SHAPE, 1), pictures, portrait, batch_size=8, seed=1)


def some_portrait(**labels: str | bool) -> Portrait:
    return replace(random_portrait(random.Random(4)), expression="smile", outfit="dress", **labels)


def pixels(portrait: Portrait) -> np.ndarray:
    return np.asarray(draw_portrait(portrait, 128, 128), dtype=int)


def test_training_lowers_the_loss_and_the_average_knows_the_drawings(folder: Path, tmp_path: Path) -> None:
    classifier = trained_classifier(PLAN, folder, tmp_path)

    expected = visible_labels([portrait_at(PLAN.seed, BUCKET, i) for i in range(BUCKET.count)])
    seen = judge(classifier, np.load(folder / "64x64.npy")).labels
    before = judge(Classifier(SHAPE, SCHEDULE.seed).eval(), np.load(folder / "64x64.npy")).labels
    shows = expected != HIDDEN
    assert (seen == expected)[shows].mean() > (before == expected)[shows].mean() + 0.2


def test_a_resumed_training_equals_an_uninterrupted_one(folder: Path, tmp_path: Path) -> None:
    pictures = np.load(folder / "64x64.npy")
    for name, stops in (("whole", (4,)), ("parts", (3, 4))):
        for stop in stops:
            Training(task(pictures), SCHEDULE, tmp_path / name, "run").run(until=stop)
    whole, parts = (torch.load(tmp_path / name / "run.pt", weights_only=True)["average"] for name in ("whole", "parts"))
    assert all(torch.equal(whole[name], parts[name]) for name in whole)


def test_a_trained_classifier_needs_no_pictures_and_an_untrained_one_says_what_to_do(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(FolderError, match="recipe draw"):
        trained_classifier(PLAN, tmp_path / "nothing", tmp_path)
    short = replace(PLAN, schedule=replace(SCHEDULE, steps=1))
    trained = trained_classifier(short, folder, tmp_path)
    again = trained_classifier(short, tmp_path / "nothing", tmp_path)
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in trained.state_dict().items())


def test_half_drawn_pictures_are_refused(folder: Path, tmp_path: Path) -> None:
    more = replace(PLAN, bucket=replace(BUCKET, count=BUCKET.count + 1))
    with pytest.raises(FolderError, match="lacks pictures"):
        trained_classifier(more, folder, tmp_path)


def test_a_classifier_of_another_shape_is_refused(folder: Path, tmp_path: Path) -> None:
    short = replace(PLAN, schedule=replace(SCHEDULE, steps=1))
    trained_classifier(short, folder, tmp_path)
    with pytest.raises(FolderError, match="Delete it"):
        trained_classifier(replace(short, shape=replace(SHAPE, features=16)), folder, tmp_path)


def test_everything_shows_but_the_color_of_closed_eyes_and_of_armor() -> None:
    rng = random.Random(3)
    for _ in range(300):
        portrait = random_portrait(rng)
        row = dict(zip(ATTRIBUTES, visible_labels([portrait])[0], strict=True))
        hidden = {name for name, label in row.items() if label == HIDDEN}
        closed = {"eye_color"} if portrait.expression == "closed eyes" else set()
        assert hidden == closed | ({"outfit_color"} if portrait.outfit == "armor" else set())
        for name in row.keys() - hidden:
            value = getattr(portrait, name)
            assert values(name)[row[name]] == (("no", "yes")[value] if isinstance(value, bool) else value)


def changed_share(one: Portrait, two: Portrait) -> float:
    return float((np.abs(pixels(one) - pixels(two)).max(axis=2) > 24).mean())


def test_what_counts_as_hidden_is_hardly_drawn() -> None:
    closed, armor, dress = (
        replace(some_portrait(), **label) for label in ({"expression": "closed eyes"}, {"outfit": "armor"}, {})
    )
    for one, two in pairwise(CHOICES["eye_color"]):
        assert np.array_equal(pixels(replace(closed, eye_color=one)), pixels(replace(closed, eye_color=two)))
    for one, two in pairwise(CHOICES["outfit_color"]):
        assert changed_share(replace(armor, outfit_color=one), replace(armor, outfit_color=two)) < 0.006
        assert changed_share(replace(dress, outfit_color=one), replace(dress, outfit_color=two)) > 0.02


def test_hidden_labels_do_not_teach(folder: Path) -> None:
    learner = task(np.load(folder / "64x64.npy"))
    learner._labels[:, ATTRIBUTES.index("eye_color")] = HIDDEN
    torch.manual_seed(0)
    learner.loss(0).backward()
    gradients = learner.module.head.weight.grad.split([len(values(name)) for name in ATTRIBUTES])
    silent = {name for name, gradient in zip(ATTRIBUTES, gradients, strict=True) if not gradient.any()}
    assert silent == {"eye_color"}


@pytest.mark.parametrize("name", ["HAIR", "EYES", "CLOTH", "PLAIN"])
def test_roughening_leaves_every_color_nearest_to_its_own_name(name: str) -> None:
    colors = np.array([*getattr(palette, name).values()], dtype=np.uint8)
    torch.manual_seed(1)
    for _ in range(4):
        flat = np.broadcast_to(colors[:, None, None, :], (len(colors), 16, 16, 3))
        means = (roughened(flat).float().mean(dim=(2, 3)).numpy() + 1) * 127.5
        nearest = np.linalg.norm(means[:, None] - colors[None].astype(float), axis=2).argmin(axis=1)
        assert nearest.tolist() == [*range(len(colors))]


def test_roughening_changes_every_picture_but_not_its_size(folder: Path) -> None:
    drawn = np.load(folder / "64x64.npy")
    pictures = to_tensor(drawn)
    torch.manual_seed(2)
    rough = roughened(drawn)
    assert rough.shape == pictures.shape
    assert rough.abs().max() <= 1
    assert (rough - pictures).abs().mean(dim=(1, 2, 3)).min() > 0.01
    assert (rough - pictures).abs().mean() < 0.4


def test_pictures_of_any_size_are_judged() -> None:
    classifier = Classifier(SHAPE, 1).eval()
    verdict = judge(classifier, np.zeros((3, 48, 40, 3), dtype=np.uint8))
    assert verdict.labels.shape == (3, len(ATTRIBUTES))
    assert verdict.features.shape == (3, SHAPE.features)
