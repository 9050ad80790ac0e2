import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from bot.training.arrays import to_tensor
from bot.training.checkpoint import read_log
from bot.training.loop import Schedule, Task, Training, averaged_weights, save_weights
from bot.training.mini.artist.portrait import Portrait, random_portrait
from bot.training.mini.artist.render import draw_portrait
from bot.training.mini.autoencoder import AutoencoderShape, AutoencoderTask, build_autoencoder
from bot.training.mini.components import fit_components
from bot.training.mini.curves import COLOUR, save_curves
from bot.training.mini.dataset import Bucket, Pixels, draw_bucket, open_bucket, portrait_at
from bot.training.mini.denoiser import FACE_WEIGHT, MOUTH_WEIGHT, DenoiserTask, Examples, face_weights
from bot.training.mini.export import export_pipeline, load_pipeline
from bot.training.mini.latents import encode_bucket, open_latents
from bot.training.mini.networks import Denoiser, DenoiserShape, build_tokenizer
from bot.training.mini.text_encoders import TextTask
from tests.plots import needs_plots, pixels_of

BUCKET = Bucket(width=64, height=64, count=8)
SMALL_VAE = AutoencoderShape(channels=(8, 8, 16, 16), latent_channels=4, groups=4, sample_size=64)
SMALL = DenoiserShape(
    latent_channels=4, channels=(16, 16, 32), head_channels=8, groups=8, text_width=16, text_layers=2, sample_size=8
)


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def pictures() -> Pixels:
    rng = random.Random(0)
    drawn = [draw_portrait(random_portrait(rng), 64, 64, supersampling=1) for _ in range(BUCKET.count)]
    return np.stack([np.asarray(picture) for picture in drawn])


def schedule(steps: int) -> Schedule:
    return Schedule(steps=steps, learning_rate=3e-3, warmup=2, seed=3, log_every=1, ema_decay=0.9)


def autoencoder_task(pictures: Pixels) -> Task:
    vae, components = build_autoencoder(SMALL_VAE, 1), fit_components(pictures, 4, 8)
    return AutoencoderTask(vae, components, [pictures], batch_size=4, side=32, seed=1)


def denoiser_task(folder: Path, *, seed: int = 1) -> Task:
    tokenizer = build_tokenizer(folder / "tokenizer")
    latents = np.random.default_rng(0).standard_normal((BUCKET.count, 4, 8, 8)).astype(np.float16)

    def portrait(bucket: Bucket, index: int) -> Portrait:
        return portrait_at(0, bucket, index)

    examples = Examples(buckets=[BUCKET], latents=[latents], portrait=portrait)
    return DenoiserTask(Denoiser(SMALL, tokenizer, seed), tokenizer, examples, batch_size=4, seed=seed)


def text_task(folder: Path) -> Task:
    tokenizer = build_tokenizer(folder / "tokenizer")
    return TextTask(Denoiser(SMALL, tokenizer, 1), tokenizer, batch_size=16, seed=1)


def make_task(kind: str, pictures: Pixels, folder: Path) -> Task:
    match kind:
        case "autoencoder":
            return autoencoder_task(pictures)
        case "text":
            return text_task(folder)
        case _:
            return denoiser_task(folder)


def same_weights(one: dict[str, torch.Tensor], two: dict[str, torch.Tensor]) -> bool:
    return one.keys() == two.keys() and all(torch.equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize("kind", ["autoencoder", "text", "denoiser"])
def test_a_resumed_training_equals_an_uninterrupted_one(kind: str, pictures: Pixels, tmp_path: Path) -> None:
    def task() -> Task:
        return make_task(kind, pictures, tmp_path)

    Training(task(), schedule(4), tmp_path / "whole", "run").run()
    Training(task(), schedule(4), tmp_path / "parts", "run").run(until=2)
    Training(task(), schedule(4), tmp_path / "parts", "run").run()
    whole, parts = (averaged_weights(tmp_path / name / "run.pt") for name in ("whole", "parts"))
    assert same_weights(whole, parts)
    losses = [[row[:2] for row in read_log(tmp_path / name / "run.csv")] for name in ("whole", "parts")]
    assert losses[0] == losses[1]
    assert [step for step, _ in losses[0]] == [1, 2, 3, 4]


def test_a_training_goes_on_from_weights_alone_when_its_checkpoints_are_gone(pictures: Pixels, tmp_path: Path) -> None:
    Training(autoencoder_task(pictures), schedule(4), tmp_path / "old", "run").run()
    shipped = build_autoencoder(SMALL_VAE, 2)
    shipped.load_state_dict(averaged_weights(tmp_path / "old" / "run.pt"))
    save_weights(tmp_path / "new" / "run.pt", shipped)
    assert same_weights(averaged_weights(tmp_path / "new" / "run.pt"), averaged_weights(tmp_path / "old" / "run.pt"))

    task = autoencoder_task(pictures)
    restored = Training(task, schedule(2), tmp_path / "new", "run")
    assert restored.step == 0
    assert same_weights(task.module.state_dict(), shipped.state_dict())
    restored.run()
    assert not same_weights(averaged_weights(tmp_path / "new" / "run.pt"), shipped.state_dict())


def test_the_log_forgets_steps_after_the_last_checkpoint(pictures: Pixels, tmp_path: Path) -> None:
    Training(autoencoder_task(pictures), schedule(4), tmp_path, "run").run(until=2)
    killed = Training(autoencoder_task(pictures), schedule(4), tmp_path, "run")
    killed.save = lambda: None  # the kill comes before the next checkpoint
    killed.run(until=4)
    assert len(read_log(tmp_path / "run.csv")) == 4
    assert Training(autoencoder_task(pictures), schedule(4), tmp_path, "run").step == 2
    assert [row[0] for row in read_log(tmp_path / "run.csv")] == [1, 2]


@pytest.mark.parametrize("kind", ["autoencoder", "text", "denoiser"])
def test_training_lowers_the_loss(kind: str, pictures: Pixels, tmp_path: Path) -> None:
    task = make_task(kind, pictures, tmp_path)
    torch.manual_seed(9)
    before = task.loss(0).item()
    Training(task, schedule(30), tmp_path, "run").run()
    torch.manual_seed(9)
    assert task.loss(0).item() < before


def test_latents_have_mean_0_and_mean_variance_1_and_rebuild_most_of_a_picture(pictures: Pixels, tmp_path: Path) -> None:
    components = fit_components(pictures, 24, 8)
    encode_bucket(tmp_path, BUCKET, components, pictures)
    (latents,) = (torch.from_numpy(part).float() for part in open_latents(tmp_path, [BUCKET]))
    assert latents.shape == (8, 24, 8, 8)
    assert latents.mean(dim=(0, 2, 3)).abs().max() < 0.01
    assert latents.var(dim=(0, 2, 3)).mean().item() == pytest.approx(1, abs=0.01)
    matrix = components.weight.flatten(1)
    squares = torch.linalg.pinv(matrix) @ (latents - components.bias.view(1, -1, 1, 1)).flatten(2)
    rebuilt = torch.nn.functional.fold(squares, 64, 8, stride=8)
    picture = to_tensor(pictures)
    assert (rebuilt - picture).var() < 0.2 * picture.var()


def test_the_encoder_learns_the_components_that_the_denoiser_draws(pictures: Pixels, tmp_path: Path) -> None:
    vae, components = build_autoencoder(SMALL_VAE, 1), fit_components(pictures, 4, 8)

    def distance() -> float:
        with torch.no_grad():
            posterior = vae.encode(to_tensor(pictures)).latent_dist
        assert posterior.std.max() < 0.01
        return (posterior.mean - components.project(to_tensor(pictures))).pow(2).mean().item()

    before = distance()
    task = AutoencoderTask(vae, components, [pictures], batch_size=8, side=32, seed=1)
    Training(task, schedule(60), tmp_path, "run").run()
    assert distance() < 0.9 * before


def test_text_encoders_stay_while_the_unet_trains(tmp_path: Path) -> None:
    task = denoiser_task(tmp_path)
    before = {name: value.clone() for name, value in task.module.state_dict().items()}
    Training(task, schedule(2), tmp_path, "run").run()
    changed = {name.split(".")[0] for name, value in task.module.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {"unet"}


def test_drawing_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    draw_bucket(tmp_path, BUCKET, 1, 1)
    whole = open_bucket(tmp_path, BUCKET).copy()
    np.lib.format.open_memmap(tmp_path / "64x64.npy", mode="r+")[4:] = 0
    (tmp_path / "64x64.done").write_text("4")
    assert len(open_bucket(tmp_path, BUCKET)) == 4
    draw_bucket(tmp_path, BUCKET, 1, 1)
    assert np.array_equal(whole, open_bucket(tmp_path, BUCKET))


def test_an_exported_checkpoint_is_float16_safetensors_and_draws(pictures: Pixels, tmp_path: Path) -> None:
    tokenizer = build_tokenizer(tmp_path / "tokenizer")
    export_pipeline(tmp_path / "mini", Denoiser(SMALL, tokenizer, 1), tokenizer, build_autoencoder(SMALL_VAE, 1))
    weights = [*(tmp_path / "mini").rglob("*.safetensors")]
    assert {path.parent.name for path in weights} == {"unet", "vae", "text_encoder", "text_encoder_2"}
    assert not [*(tmp_path / "mini").rglob("*.bin")]
    pipeline = load_pipeline(tmp_path / "mini")
    generator = torch.Generator().manual_seed(0)
    drawn = pipeline(
        "1girl, green hair", negative_prompt="lowres", num_inference_steps=2, width=64, height=48, generator=generator
    )
    assert drawn.images[0].size == (64, 48)


@needs_plots
def test_curves_show_a_panel_for_each_log_that_exists(pictures: Pixels, tmp_path: Path) -> None:
    Training(autoencoder_task(pictures), schedule(3), tmp_path, "run").run()
    logs = {"run": tmp_path / "run.csv", "absent": tmp_path / "absent.csv"}

    assert save_curves(logs, tmp_path / "loss.png")
    assert pixels_of(COLOUR, tmp_path / "loss.png") > 100
    with Image.open(tmp_path / "loss.png") as plot:
        assert plot.size == (800, 300)


@pytest.mark.parametrize(("width", "height"), [(256, 256), (224, 288), (288, 224)])
def test_a_face_weighs_more_than_what_is_around_it_and_a_mouth_most(width: int, height: int) -> None:
    weights = face_weights(Bucket(width=width, height=height, count=1), width // 16)
    relative = weights / weights[0, 0]

    assert weights.shape == (height // 16, width // 16)
    assert weights.mean() == pytest.approx(1)
    assert sorted({round(float(weight), 3) for weight in relative.flatten()}) == [1, FACE_WEIGHT, MOUTH_WEIGHT]
    assert 0.02 < (relative == relative.max()).float().mean() < 0.08
