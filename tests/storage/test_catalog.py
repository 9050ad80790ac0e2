from __future__ import annotations

from pathlib import Path

import pytest

from bot.domain.profile import Catalog, ModelSource, Quality
from bot.domain.safety import Rating
from bot.errors import ModelError
from bot.storage.catalog import load_catalog

SHIPPED = Path(__file__).resolve().parents[2] / "data"
PROFILE = """
title = "Mine"
family = "sdxl"
num_inference_steps = 20
guidance_scale = 7
default_size = "square"
unclassified = "it draws squares"

[source]
repo = "someone/something"

[licence]
name = "MIT"

[sizes]
square = [1024, 1024]
"""
CLASSIFIED = (
    PROFILE.replace('unclassified = "it draws squares"\n', "")
    + """
[classifier]
repo = "someone/classifier"
revision = "abc"
ratings = { fine = "general", bare = "questionable" }
thresholds = { sensitive = 0.3 }

[classifier.licence]
name = "Apache License 2.0"
"""
)
QUALIFIED = (
    PROFILE
    + """
[quality.draft]
num_inference_steps = 6
guidance_scale = 1.2
scheduler = "LCMScheduler"
style = "lcm"
adapter_weight = 0.9

[quality.best]
num_inference_steps = 40
guidance_interval = [0.1, 0.8]
"""
)
PIN = "ab" * 32
STYLE = """
title = "Ink"
families = ["sdxl"]
file = "ink.safetensors"

[licence]
name = "MIT"
"""


def catalog_of(folder: Path, profile: str | None = None, style: str | None = None, *, name: str = "mine") -> Catalog:
    for kind, text in (("profiles", profile), ("styles", style)):
        (folder / kind).mkdir(parents=True, exist_ok=True)
        if text is not None:
            (folder / kind / f"{name}.toml").write_text(text, encoding="utf-8")
    return load_catalog(SHIPPED, folder)


def problems_of(folder: Path, profile: str | None = None, style: str | None = None, *, name: str = "mine") -> str:
    with pytest.raises(ModelError) as caught:
        catalog_of(folder, profile, style, name=name)
    assert all("\n" not in line for line in caught.value.lines)
    return "\n".join(caught.value.lines)


def test_a_profile_may_say_how_much_of_a_picture_an_upscale_draws_anew(tmp_path: Path) -> None:
    said = catalog_of(tmp_path / "said", "upscale_strength = 0.2\n" + PROFILE)
    unsaid = catalog_of(tmp_path / "unsaid", PROFILE)

    assert (said.profile("mine").upscale_strength, unsaid.profile("mine").upscale_strength) == (0.2, 0.35)
    assert "upscale_strength" in problems_of(tmp_path / "none", "upscale_strength = 0.0\n" + PROFILE)


def test_a_quality_is_read_with_everything_that_it_names(tmp_path: Path) -> None:
    qualities = catalog_of(tmp_path, QUALIFIED).profile("mine").quality

    assert qualities == {
        "draft": Quality(num_inference_steps=6, guidance_scale=1.2, scheduler="LCMScheduler", style="lcm", adapter_weight=0.9),
        "best": Quality(num_inference_steps=40, guidance_interval=(0.1, 0.8)),
    }


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("[quality.best]", "[quality.standard]", "quality.standard"),
        ("num_inference_steps = 6", "num_inference_steps = 61", "quality.draft.num_inference_steps"),
        ("num_inference_steps = 40\n", "", "quality.best.num_inference_steps: is missing"),
        ('"LCMScheduler"', '"MagicScheduler"', "quality.draft.scheduler: must be one of DDIMScheduler"),
        ("[0.1, 0.8]", "[0.8, 0.1]", "quality.best.guidance_interval: must be [start, end]"),
        ("[0.1, 0.8]", "[0.1]", "quality.best.guidance_interval"),
        ('style = "lcm"\n', "", "quality.draft: adapter_weight belongs to style"),
        ('style = "lcm"', 'style = "pastel-mini"', "quality.draft.style: there is no style 'pastel-mini' for 'sdxl'"),
        ('style = "lcm"', 'style = "nowhere"', "quality.draft.style: there is no style 'nowhere' for 'sdxl'"),
    ],
)
def test_a_wrong_quality_is_refused_with_its_field(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in QUALIFIED
    assert complaint in problems_of(tmp_path, QUALIFIED.replace(old, new))


def test_a_profile_names_what_its_files_must_be(tmp_path: Path) -> None:
    of_repo = PROFILE.replace(
        'repo = "someone/something"',
        f'repo = "a/b"\nrevision = "{"1" * 40}"\nsha256 = {{ "unet/x.safetensors" = "{PIN.upper()}" }}',
    )
    of_file = PROFILE.replace('repo = "someone/something"', f'file = "some/m.safetensors"\nsha256 = "{PIN}"')
    judged = CLASSIFIED.replace('revision = "abc"', f'revision = "abc"\nsha256 = {{ "model.safetensors" = "{PIN}" }}')
    style = STYLE.replace('file = "ink.safetensors"', f'file = "ink.safetensors"\nsha256 = "{PIN}"')

    assert catalog_of(tmp_path / "1", of_repo).profile("mine").source.sha256 == {"unet/x.safetensors": PIN}
    assert catalog_of(tmp_path / "2", of_file).profile("mine").source.sha256 == {"m.safetensors": PIN}
    classifier = catalog_of(tmp_path / "3", judged).profile("mine").classifier
    assert classifier is not None
    assert classifier.source.sha256 == {"model.safetensors": PIN}
    assert catalog_of(tmp_path / "4", None, style).styles["mine"].sha256 == PIN


def test_the_operators_file_wins_over_the_shipped_one_of_the_same_name(tmp_path: Path) -> None:
    catalog = catalog_of(tmp_path, PROFILE, name="animagine-xl")

    assert catalog.profile("animagine-xl").title == "Mine"
    assert "animagine-xl-4" in catalog.profiles


def test_relative_paths_lead_to_the_data_folder_first_and_to_the_shipped_one_otherwise(tmp_path: Path) -> None:
    shipped, data = tmp_path / "shipped", tmp_path / "data"
    text = PROFILE.replace('repo = "someone/something"', 'folder = "mini"')
    for path in (shipped / "profiles", shipped / "models" / "mini", shipped / "styles", data):
        path.mkdir(parents=True)
    (shipped / "profiles" / "mini.toml").write_text(text)
    (shipped / "styles" / "ink.toml").write_text(STYLE)

    before = load_catalog(shipped, data)
    (data / "models" / "mini").mkdir(parents=True)
    after = load_catalog(shipped, data)

    assert before.profile("mini").source.folder == shipped / "models" / "mini"
    assert after.profile("mini").source.folder == data / "models" / "mini"
    assert after.styles["ink"].file == data / "loras" / "ink.safetensors"


def test_a_lora_may_lie_beside_its_style(tmp_path: Path) -> None:
    shipped, data = tmp_path / "shipped", tmp_path / "data"
    for path in (shipped / "profiles", shipped / "styles", data / "styles"):
        path.mkdir(parents=True)
    (shipped / "profiles" / "mine.toml").write_text(PROFILE)
    (shipped / "styles" / "ink.toml").write_text(STYLE)
    (shipped / "styles" / "ink.safetensors").touch()

    assert load_catalog(shipped, data).styles["ink"].file == shipped / "styles" / "ink.safetensors"


def test_all_problems_of_all_files_are_told_at_once_each_with_file_and_field(tmp_path: Path) -> None:
    wrong = PROFILE.replace("guidance_scale = 7", 'guidance_scale = "7"').replace("[1024, 1024]", "[1024, 1023]")
    told = problems_of(tmp_path, wrong + "\n[extra]\nkey = 1\n", STYLE.replace('title = "Ink"', ""))

    assert f"{tmp_path / 'profiles' / 'mine.toml'}: guidance_scale: must be a valid number" in told
    assert "sizes.square.1: must be a multiple of 8" in told
    assert "extra: is not a setting that Pastel knows" in told
    assert f"{tmp_path / 'styles' / 'mine.toml'}: title: is missing" in told
    assert len(told.splitlines()) == 4


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('repo = "someone/something"', "", "source: needs exactly one of repo, folder and file; it has none"),
        ('repo = "someone/something"', 'repo = "a/b"\nfolder = "c"', "it has repo and folder"),
        ('repo = "someone/something"', 'file = "model.ckpt"', "source.file: is a pickle file"),
        ('repo = "someone/something"', 'file = "model.onnx"', "source.file: must end in .safetensors"),
        ('repo = "someone/something"', 'repo = "https://example.org/x"', "source.repo: must look like"),
        ('repo = "someone/something"', 'repo = "a/b"\nconfig = "c"', "config belongs to file only"),
        (
            'repo = "someone/something"',
            'repo = "a/b"\nsha256 = "' + PIN + '"',
            "sha256 is a text for a file, and a table by file",
        ),
        (
            'repo = "someone/something"',
            f'file = "m.safetensors"\n[source.sha256]\n"m.safetensors" = "{PIN}"',
            "sha256 is a text",
        ),
        ('repo = "someone/something"', 'file = "m.safetensors"\nsha256 = "abc"', "sha256.file: must be 64 hexadecimal digits"),
        ('repo = "someone/something"', f'repo = "a/b"\nsha256 = {{ "x.bin" = "{PIN}" }}', "is a pickle file"),
        ('default_size = "square"', 'default_size = "round"', "default_size must be one of square"),
        ("square = [1024, 1024]", "square = [1024]", "square must be [width, height]"),
        ("num_inference_steps = 20", "num_inference_steps = 61", "num_inference_steps: must be less than or equal to 60"),
        ("num_inference_steps = 20", "num_inference_steps = true", "num_inference_steps: must be a valid integer"),
        ("guidance_scale = 7", "guidance_scale = nan", "guidance_scale"),
        ('family = "sdxl"', 'family = "sdxl"\nscheduler = "MagicScheduler"', "scheduler: must be one of DDIMScheduler"),
        ('family = "sdxl"', "family = ", "mine.toml"),
    ],
)
def test_a_wrong_profile_is_refused_with_its_field(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in PROFILE
    assert complaint in problems_of(tmp_path, PROFILE.replace(old, new))


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('file = "ink.safetensors"', "", "needs either repo and weight_name, or file"),
        ('file = "ink.safetensors"', 'file = "ink.pt"', "file: is a pickle file"),
        ('file = "ink.safetensors"', 'repo = "a/b"', "weight_name"),
        ('file = "ink.safetensors"', 'repo = "a/b"\nweight_name = "x.bin"', "weight_name: is a pickle file"),
        ('title = "Ink"', 'title = "Ink"\nadapter_weight = 1.6', "adapter_weight: must be less than or equal to 1.5"),
    ],
)
def test_a_wrong_style_is_refused_with_its_field(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in STYLE
    assert complaint in problems_of(tmp_path, None, STYLE.replace(old, new))


def test_a_classifier_is_read_with_what_its_labels_mean(tmp_path: Path) -> None:
    classifier = catalog_of(tmp_path, CLASSIFIED).profile("mine").classifier

    assert classifier is not None
    assert classifier.source == ModelSource(repo="someone/classifier", revision="abc")
    assert classifier.licence.name == "Apache License 2.0"
    assert classifier.scale.labels == {"fine": Rating.GENERAL, "bare": Rating.QUESTIONABLE}
    assert classifier.scale.thresholds == {Rating.SENSITIVE: 0.3}


def test_a_home_folder_in_a_profile_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "ann"))
    text = PROFILE.replace('repo = "someone/something"', 'folder = "~/models/mine"')

    assert catalog_of(tmp_path, text).profile("mine").source.folder == tmp_path / "ann" / "models" / "mine"
    assert "which nothing fills in" in problems_of(tmp_path, text.replace("~", "$MODELS"))


def test_a_classifiers_folder_is_looked_for_where_models_are(tmp_path: Path) -> None:
    (tmp_path / "models" / "judge").mkdir(parents=True)
    text = CLASSIFIED.replace('repo = "someone/classifier"\nrevision = "abc"', 'folder = "judge"')
    classifier = catalog_of(tmp_path, text).profile("mine").classifier

    assert classifier is not None
    assert classifier.source.folder == tmp_path / "models" / "judge"


def test_a_profile_that_says_nothing_about_a_classifier_is_refused(tmp_path: Path) -> None:
    told = problems_of(tmp_path, PROFILE.replace('unclassified = "it draws squares"\n', ""))

    assert told == (
        f"{tmp_path / 'profiles' / 'mine.toml'}: "
        'needs a [classifier] that looks at its pictures, or unclassified = "why nobody needs to"'
    )


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ('default_size = "square"', 'default_size = "square"\nunclassified = "x"', "has both a [classifier] and unclassified"),
        ('default_size = "square"', 'default_size = "square"\nunclassified = ""', "unclassified: must not be empty"),
        ('repo = "someone/classifier"\nrevision = "abc"', "", "classifier: needs either repo or folder"),
        ('repo = "someone/classifier"', 'folder = "a"', "classifier: revision belongs to repo only"),
        ('revision = "abc"', 'folder = "a"', "classifier: needs either repo or folder"),
        ('bare = "questionable"', 'bare = "general"', "classifier: at least one label must be rated beyond general"),
        ('bare = "questionable"', 'bare = "rude"', "classifier.ratings.bare: must be 'general', 'sensitive'"),
        ('fine = "general", ', "", "classifier.ratings"),
        ("sensitive = 0.3", "sensitive = 1.3", "classifier: thresholds lie above 0"),
        ("sensitive = 0.3", "sensitive = 0", "classifier: thresholds lie above 0"),
        ("sensitive = 0.3", "general = 0.3", "classifier.thresholds.general"),
        ("sensitive = 0.3", 'sensitive = "0.3"', "classifier.thresholds.sensitive: must be a valid number"),
        ('[classifier.licence]\nname = "Apache License 2.0"', "", "classifier.licence: is missing"),
        ('revision = "abc"', 'remote_code = true\nrevision = "abc"', "classifier.remote_code: is not a setting"),
    ],
)
def test_a_wrong_classifier_is_refused_with_its_field(tmp_path: Path, old: str, new: str, complaint: str) -> None:
    assert old in CLASSIFIED
    assert complaint in problems_of(tmp_path, CLASSIFIED.replace(old, new))


def test_a_file_that_is_no_text_and_a_name_with_blanks_are_refused(tmp_path: Path) -> None:
    (tmp_path / "profiles").mkdir()
    (tmp_path / "profiles" / "binary.toml").write_bytes(b"\xff\xfe\x00")
    told = problems_of(tmp_path, PROFILE, name="My Model")

    assert "binary.toml" in told
    assert "My Model.toml: the file's name must consist of" in told


def test_the_list_of_children_is_read_from_both_folders_and_a_bad_row_ends_the_start(tmp_path: Path) -> None:
    safety = tmp_path / "safety"
    safety.mkdir()
    (safety / "bodies.csv").write_text("words\nround cheeks\n")
    assert frozenset({"round cheeks"}) in load_catalog(SHIPPED, tmp_path).young.rows
    assert frozenset({"petite", "flat chest"}) in load_catalog(SHIPPED, tmp_path).young.rows

    (safety / "characters.csv").write_text("character,alone\npip\n")
    with pytest.raises(ModelError, match=r"characters\.csv: line 2"):
        load_catalog(SHIPPED, tmp_path)
