"""LoRA training on a real (tiny) SDXL: it learns, resumes and repeats, and production draws with what it wrote."""

from __future__ import annotations

import signal
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from bot.domain.profile import Licence, ModelProfile, Style
from bot.errors import FolderError, InvalidRequestError, ModelError
from bot.inference.formats.weights import file_sha256
from bot.inference.loading import pipelines
from bot.inference.loading.pipelines import load_model
from bot.inference.loras.loader import LoraLoader
from bot.settings import SHIPPED_DATA
from bot.storage.catalog import load_catalog
from bot.training.lora import train as lora
from bot.training.lora.dataset import Batches, frame, make_buckets, read_folder
from bot.training.lora.model import find_model, load_for_training
from bot.training.lora.options import LoraOptions
from bot.training.lora.task import Examples, LoraTask, encode_pictures, encoder_of
from bot.training.lora.train import train_lora
from bot.training.lora.weights import add_lora
from tests.training.lora_examples import build_model, notes_of, options, tensors_of, write_pictures

ZERO_SNR = {"prediction_type": "v_prediction", "rescale_betas_zero_snr": True, "timestep_spacing": "trailing"}


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_model(tmp_path_factory.mktemp("models") / "tiny")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pictures(tmp_path_factory.mktemp("pictures") / "10_people")


def prepare(chosen: LoraOptions) -> LoraTask:
    """The task as `train_lora` builds it."""
    loaded = load_for_training(chosen)
    found = read_folder(chosen.pictures)
    buckets = make_buckets(64, loaded.pipeline.vae_scale_factor)
    frames = [frame(picture.width, picture.height, buckets) for picture in found]
    examples = Examples(
        pictures=found,
        frames=frames,
        latents=encode_pictures(found, frames, encoder_of(loaded.pipeline)),
        batches=Batches(found, frames, chosen.batch_size, chosen.seed),
    )
    return LoraTask(loaded.pipeline, add_lora(loaded.pipeline, chosen), examples, chosen, loaded.dtype)


def loss_on_fixed_noise(task: LoraTask) -> float:
    total = 0.0
    for step in range(8):
        torch.manual_seed(step)
        with torch.no_grad():
            total += task.loss(step).item()
    return total / 8


def insert(weights: Any, tensors: dict[str, torch.Tensor]) -> None:
    for name in weights.down:
        weights.down[name].data.copy_(tensors[f"{name}.lora_down.weight"])
        weights.up[name].data.copy_(tensors[f"{name}.lora_up.weight"])


@pytest.mark.parametrize(("scheduler", "dtype"), [({}, "bfloat16"), (ZERO_SNR, "float16")], ids=["epsilon", "v_prediction"])
def test_a_few_dozen_steps_lower_the_loss_on_fixed_noise_clearly(
    scheduler: dict[str, object], dtype: str, pictures: Path, tmp_path: Path
) -> None:
    tiny = build_model(tmp_path / "tiny", **scheduler)
    chosen = options(tiny, pictures, tmp_path / "a.safetensors", steps=24, alpha=None, target="all", dtype=dtype)
    trained = train_lora(chosen)

    exact = prepare(replace(chosen, dtype="float32", caption_dropout=0.0))
    before = loss_on_fixed_noise(exact)
    insert(exact.module, tensors_of(trained))
    assert loss_on_fixed_noise(exact) < 0.85 * before


def test_the_same_seed_gives_the_same_file_and_another_seed_another(model: Path, pictures: Path, tmp_path: Path) -> None:
    def trained(folder: str, **changes: object) -> tuple[str, dict[str, str]]:
        (tmp_path / folder).mkdir()
        file = train_lora(options(model, pictures, tmp_path / folder / "a.safetensors", steps=2, **changes))
        return file_sha256(file, skip_header=True), notes_of(file)  # a header's notes have no order

    assert trained("one") == trained("two") != trained("three", seed=1)


def test_a_training_that_was_interrupted_ends_as_one_that_was_not(
    model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = train_lora(options(model, pictures, tmp_path / "whole.safetensors"))
    parts = options(model, pictures, tmp_path / "parts.safetensors")
    make_report = lora._reporter

    def interrupting(chosen: LoraOptions) -> Any:
        report = make_report(chosen)

        def report_and_press_ctrl_c(step: int, loss: float, rate: float) -> None:
            report(step, loss, rate)
            if step == 2:
                signal.raise_signal(signal.SIGINT)

        return report_and_press_ctrl_c

    monkeypatch.setattr(lora, "_reporter", interrupting)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        train_lora(parts)
    assert not parts.out.exists()
    assert "Stopped after step 2 of 4. The same command goes on from there." in capsys.readouterr().out
    monkeypatch.undo()

    resumed = tensors_of(train_lora(parts))
    assert "Going on from step 2" in capsys.readouterr().out
    assert signal.getsignal(signal.SIGINT) is before
    assert all(torch.equal(tensor, resumed[name]) for name, tensor in tensors_of(whole).items())


def test_a_checkpoint_of_other_settings_is_not_gone_on_from_but_more_steps_are_welcome(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    train_lora(options(model, pictures, tmp_path / "a.safetensors", steps=1))
    with pytest.raises(FolderError, match=r"a\.training\.pt is the checkpoint of another training .* Delete it"):
        train_lora(options(model, pictures, tmp_path / "a.safetensors", steps=1, rank=8))

    assert notes_of(train_lora(options(model, pictures, tmp_path / "a.safetensors", steps=2)))["ss_steps"] == "2"


@pytest.fixture(scope="module")
def learnt_exactly(model: Path, pictures: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What one step in single precision teaches."""
    return train_lora(options(model, pictures, tmp_path_factory.mktemp("exact") / "a.safetensors", steps=1, dtype="float32"))


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_with_half_precision_weights_and_checkpoints_as_on_cuda_it_learns_the_same(
    dtype: str, learnt_exactly: Path, model: Path, pictures: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipelines, "choose_device", lambda _: (torch.device("cpu"), torch.float16))
    changes = {"steps": 1, "dtype": dtype, "gradient_checkpointing": True}
    halved = train_lora(options(model, pictures, tmp_path / "b.safetensors", **changes))

    one, two = (
        torch.cat([tensor.float().flatten() for tensor in tensors_of(file).values()]) for file in (learnt_exactly, halved)
    )
    assert torch.nn.functional.cosine_similarity(one, two, dim=0) > 0.95


def render(pipeline: Any) -> torch.Tensor:
    """A picture's latents; equal only if every weight that took part is."""
    with torch.no_grad():
        return pipeline(
            "1girl",
            width=64,
            height=64,
            num_inference_steps=2,
            output_type="latent",
            generator=torch.Generator().manual_seed(0),
        ).images


def drawn_by_production(profile: ModelProfile, file: Path) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Drawn by the bare model, with the file at weight 1, and then at weight 0."""
    pipeline = load_model(profile, device="cpu").text2img
    adapters = LoraLoader(pipeline)
    style = Style(name="a", title="A", families=("sdxl",), licence=Licence(name="none"), file=file)
    bare = render(pipeline)
    adapters.activate([(style, 1.0)])
    full = render(pipeline)
    adapters.activate([(style, 0.0)])
    return bare, full, render(pipeline)


@pytest.mark.parametrize(
    ("which", "changes"),
    [("tiny", {"target": "all", "text_encoders": True}), ("mini", {"target": "all", "learning_rate": 1e-3})],
    ids=["tiny", "mini"],
)
def test_production_draws_with_the_file_as_the_trained_model_does_and_weight_0_is_the_bare_model_bit_for_bit(
    which: str, changes: dict[str, object], model: Path, pictures: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    place = model if which == "tiny" else SHIPPED_DATA / "models" / "mini"
    chosen = options(place, pictures, tmp_path / "a.safetensors", steps=3, **changes)
    file, profile = train_lora(chosen), find_model(str(place), tmp_path)

    pipeline = load_model(profile, device="cpu").text2img
    insert(add_lora(pipeline, chosen), tensors_of(file))
    trained, (bare, drawn, without) = render(pipeline), drawn_by_production(profile, file)

    parts = ("unet", "te1", "te2") if which == "tiny" else ("unet",)
    learnt = [name for name, tensor in tensors_of(file).items() if name.endswith("lora_up.weight") and tensor.any()]
    assert {name.split("_")[1] for name in learnt} == set(parts)
    assert torch.allclose(drawn, trained, rtol=1e-4, atol=1e-4 * bare.abs().max().item())
    assert (drawn - bare).abs().max() > 100 * (drawn - trained).abs().max()
    assert torch.equal(without, bare)
    assert "parts fit the model" not in caplog.text


def test_the_notes_say_what_the_lora_was_trained_on(model: Path, pictures: Path, tmp_path: Path) -> None:
    chosen = options(model, pictures.parent, tmp_path / "my_style.safetensors", steps=1, target="all", trigger="mystyle")
    notes = notes_of(train_lora(chosen))

    assert notes["ss_network_module"] == "networks.lora"
    assert (notes["ss_network_dim"], notes["ss_network_alpha"]) == ("4", "2.0")
    assert (notes["ss_output_name"], notes["modelspec.title"]) == ("my_style", "My style")
    assert notes["ss_num_train_images"] == "60"  # six pictures, ten times each
    assert '"10_people": {"1girl": 4, "1boy": 2, "smile": 1' in notes["ss_tag_frequency"]
    assert '{"resolution": [48, 80], "count": 30}' in notes["ss_bucket_info"]
    assert notes["modelspec.architecture"] == "stable-diffusion-xl-v1-base/lora"
    assert notes["sshs_model_hash"] == file_sha256(chosen.out, skip_header=True)
    assert {tensor.dtype for tensor in tensors_of(chosen.out).values()} == {torch.float16}


def test_a_style_file_is_written_that_the_catalogue_reads(model: Path, pictures: Path, tmp_path: Path) -> None:
    (tmp_path / "data" / "loras").mkdir(parents=True)
    changes = {"steps": 1, "data_dir": tmp_path / "data", "style": "soft", "trigger": 'so "soft"'}
    file = train_lora(options(model, pictures, tmp_path / "data" / "loras" / "a.safetensors", **changes))

    style = load_catalog(tmp_path, tmp_path / "data").styles["soft"]
    assert (style.file, style.families, style.trigger_words) == (file.resolve(), ("tiny",), 'so "soft"')
    assert 'file = "a.safetensors"' in (tmp_path / "data" / "styles" / "soft.toml").read_text()


def test_a_style_file_that_says_something_else_is_left_alone_and_told_before_training(
    model: Path, pictures: Path, tmp_path: Path
) -> None:
    (tmp_path / "data" / "styles").mkdir(parents=True)
    mine = 'title = "Mine"\nfamilies = ["sdxl"]\nfile = "mine.safetensors"\n[licence]\nname = "mine"\n'
    (tmp_path / "data" / "styles" / "soft.toml").write_text(mine)
    with pytest.raises(FolderError, match=r"soft\.toml is there already .* another name"):
        train_lora(options(model, pictures, tmp_path / "a.safetensors", data_dir=tmp_path / "data", style="soft"))

    assert not [*tmp_path.glob("a*")]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"out": Path("a.pt")}, "--out must end in .safetensors"),
        ({"rank": 0}, "start at 1"),
        ({"learning_rate": 1.0}, "0.0001 is usual"),
        ({"caption_dropout": 1.0}, "a share from 0"),
        ({"resolution": 8}, "32 to 4096"),
        ({"alpha": 0.0}, "above 0"),
    ],
)
def test_a_wrong_option_is_one_sentence(changes: dict[str, Any], complaint: str) -> None:
    with pytest.raises(InvalidRequestError, match=complaint):
        LoraOptions(**({"model": "mini", "pictures": Path(), "out": Path("a.safetensors")} | changes))


def test_a_model_is_found_by_name_and_by_path_and_an_unknown_one_lists_the_names(model: Path, tmp_path: Path) -> None:
    assert find_model("mini", tmp_path).family == "mini"
    assert find_model(str(SHIPPED_DATA / "models" / "mini"), tmp_path).family == "mini"
    assert find_model(str(model), tmp_path).source.folder == model.resolve()
    (tmp_path / "one.safetensors").touch()
    assert find_model(str(tmp_path / "one.safetensors"), tmp_path).source.file == (tmp_path / "one.safetensors").resolve()
    with pytest.raises(ModelError, match=r"There is no model 'nope'.*animagine-xl"):
        find_model("nope", tmp_path)
