"""`doctor` on folders full of files that cannot be used: a true sentence for each, from headers alone."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from bot.__main__ import main
from bot.settings import SHIPPED_DATA, Settings
from tests.inference.tiny_vit import build_vit

SDXL_HOLE = "model.diffusion_model.input_blocks.4.1.transformer_blocks.0.attn2.to_k.weight"
CLASSIFIER = """
[classifier]
folder = "judge"
ratings = { drawing = "general", neutral = "general", bare = "explicit" }
thresholds = { sensitive = 1.0, questionable = 1.0, explicit = 1.0 }
licence = { name = "MIT" }
"""


@pytest.fixture(autouse=True)
def data(monkeypatch, tmp_path) -> Path:
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    folder = tmp_path / "data"
    for name in ("profiles", "models", "styles", "loras"):
        (folder / name).mkdir(parents=True)
    monkeypatch.setenv("DATA_DIR", str(folder))
    monkeypatch.setenv("MODEL", "mini")
    monkeypatch.setenv("DEVICE", "cpu")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path)
    return folder


def add_model(data: Path, name: str) -> Path:
    """A profile like the shipped model's with a single file, which is returned and is not there yet."""
    text = (SHIPPED_DATA / "profiles" / "mini.toml").read_text(encoding="utf-8")
    source = f'[source]\nfile = "{name}.safetensors"\nconfig = "{SHIPPED_DATA / "models" / "mini"}"\n\n'
    text = re.sub(r"(?m)^\[source\]\n(?:(?!\[).*\n)*", source, text)
    text = re.sub(r"(?m)^\[source\.sha256\]\n(?:(?!\[).*\n)*", "", text)
    (data / "profiles" / f"{name}.toml").write_text(text, encoding="utf-8")
    return data / "models" / f"{name}.safetensors"


def add_style(data: Path, name: str, families: str = "mini") -> Path:
    text = f'title = "{name.title()}"\nfamilies = ["{families}"]\nfile = "{name}.safetensors"\n[licence]\nname = "x"\n'
    (data / "styles" / f"{name}.toml").write_text(text, encoding="utf-8")
    return data / "loras" / f"{name}.safetensors"


def lora(width: int = 64, stem: str = "lora_unet_input_blocks_3_1_transformer_blocks_0_attn2_to_k") -> dict[str, torch.Tensor]:
    return {f"{stem}.lora_down.weight": torch.zeros(4, width), f"{stem}.lora_up.weight": torch.zeros(192, 4)}


def cut(file: Path) -> None:
    save_file(lora(), file)
    file.write_bytes(file.read_bytes()[:-8])


def written(tensors: dict[str, torch.Tensor]) -> Callable[[Path], None]:
    return lambda file: save_file(tensors, file)


def nothing(file: Path) -> None:
    del file


FAULTY_MODELS = {
    "sd15": (
        written({"cond_stage_model.transformer.x": torch.zeros(1), SDXL_HOLE: torch.zeros(320, 768)}),
        "is a Stable Diffusion 1.x model, not an SDXL model",
    ),
    "flux": (
        written({"double_blocks.0.img_attn.qkv.weight": torch.zeros(8, 8)}),
        "is a Flux model, or one built like it, not an SDXL model",
    ),
    "style-as-model": (written(lora()), "is a LoRA, not a model; a LoRA belongs into `loras`"),
    "gone-model": (nothing, "does not exist"),
    "gguf": (lambda file: file.write_bytes(b"GGUF" + bytes(64)), "is a GGUF file"),
}
FAULTY_STYLES = {
    "lok": (written({"lora_unet_a.lokr_w1": torch.zeros(4, 4)}), "is in the format LoKr (LyCORIS), which cannot be used"),
    "gone-style": (nothing, "does not exist"),
    "old": (written(lora(768)), "was made for Stable Diffusion 1.x, not for this model (mini, judged)"),
    "cut": (cut, "is damaged or was cut off"),
}


def rows(capsys) -> list[tuple[str, str, str]]:
    """Mark, name and text of each line of the report."""
    return re.findall(r"^  (ok|warn|FAIL) +([a-z0-9 -]+): (.*)$", capsys.readouterr().out, re.MULTILINE)


def add_judged_model(data: Path) -> Path:
    """The shipped model with a picture classifier, whose folder is returned."""
    text = (SHIPPED_DATA / "profiles" / "mini.toml").read_text(encoding="utf-8")
    kept = "\n".join(line for line in text.splitlines() if not line.startswith("unclassified"))
    (data / "profiles" / "judged.toml").write_text(kept + CLASSIFIER, encoding="utf-8")
    return build_vit(data / "models" / "judge")


def test_ten_faulty_files_get_ten_true_sentences(data, capsys):
    for name, (write, _) in FAULTY_MODELS.items():
        write(add_model(data, name))
    for name, (write, _) in FAULTY_STYLES.items():
        write(add_style(data, name))
    config = add_judged_model(data) / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"id2label": {"0": "drawing", "1": "else"}}))

    main(["doctor"])

    found = {what: (mark, text) for mark, what, text in rows(capsys)}
    for name, (_, said) in FAULTY_MODELS.items():
        mark, text = found[f"model {name}"]
        assert mark == "warn"
        assert said in text, name
        assert f"{name}.safetensors" in text
    for name, (_, said) in FAULTY_STYLES.items():
        mark, text = found[f"style {name}"]
        assert mark == "warn"
        assert said in text, name
    assert "has the labels drawing, else, but `ratings` rates" in found["model judged"][1]
    assert len([what for what in found if what.startswith(("model ", "style "))]) == 10
    assert "styles: pastel-mini; unusable, as told below: cut, gone-style, lok, old" in found["model"][1]


def test_sound_files_get_one_line_for_all_of_them(data, capsys):
    add_judged_model(data)
    save_file(lora(256), add_style(data, "fine"))
    main(["doctor"])

    found = {what: (mark, text) for mark, what, text in rows(capsys)}
    assert found["other models"] == found["styles"] == ("ok", "nothing wrong with the files that are on this machine")
    assert found["model"][1].endswith("styles: fine, pastel-mini")


def test_a_lora_that_fits_in_part_is_told_with_a_layer_that_the_model_has_not(data, capsys):
    save_file(lora(256) | lora(256, stem="lora_unet_nowhere"), add_style(data, "half"))
    main(["doctor"])

    (text,) = (text for _, what, text in rows(capsys) if what == "style half")
    assert text.endswith("fits in part: of its 2 layers 1 are not in the model, such as lora_unet_nowhere (mini)")


def test_a_lora_that_fits_one_of_two_models_is_told_for_the_other(data, capsys):
    add_judged_model(data)
    other = (data / "profiles" / "judged.toml").read_text(encoding="utf-8")
    folder = shutil.copytree(SHIPPED_DATA / "models" / "mini", data / "models" / "wider")
    file = folder / "unet" / "diffusion_pytorch_model.safetensors"
    narrow = load_file(file)
    wide = {
        key: torch.zeros(value.shape[0], 99) if key.endswith("attn2.to_k.weight") else value for key, value in narrow.items()
    }
    save_file(wide, file)
    config = folder / "unet" / "config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"cross_attention_dim": 99}))
    (data / "profiles" / "wider.toml").write_text(
        re.sub(r"(?m)^\[source\.sha256\]\n(?:(?!\[).*\n)*", "", other).replace('folder = "mini"', 'folder = "wider"'),
        encoding="utf-8",
    )
    save_file(lora(256), add_style(data, "fine"))
    main(["doctor"])

    found = [(what, text) for _, what, text in rows(capsys) if what == "style fine"]
    assert len(found) == 1
    assert found[0][1].endswith("was made for a model with text of width 256, not for this model (wider)")
