"""The models and styles that Pastel comes with."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bot.domain.safety import Rating
from bot.domain.sampler import SAMPLERS, check_steps
from bot.errors import InvalidRequestError
from bot.inference.formats.weights import file_sha256
from bot.inference.loading.pins import check_pins
from bot.storage.catalog import load_catalog

SHIPPED = Path(__file__).resolve().parents[2] / "data"
SEED_NEGATIVE = (
    "lowres, bad anatomy, bad hands, text, error, missing fingers, extra digit, fewer digits, cropped, worst quality, "
    "low quality, normal quality, jpeg artifacts, signature, watermark, username, blurry"
)
SDXL_PROFILES = [
    "animagine-xl",
    "animagine-xl-3.1",
    "animagine-xl-4",
    "illustrious-xl-2",
    "noobai-xl",
    "noobai-xl-vpred",
    "pony-v6-xl",
]
ONE_WAY = {(1024, 1024), (1152, 896), (1216, 832), (1344, 768), (1536, 640)}
SDXL_BUCKETS = ONE_WAY | {(height, width) for width, height in ONE_WAY}


def test_animagine_xl_is_shipped_with_the_settings_of_its_card_and_the_seed(tmp_path: Path) -> None:
    profile = load_catalog(SHIPPED, tmp_path).profile("animagine-xl")

    assert (profile.source.repo, profile.variant) == ("Linaqruf/animagine-xl", "fp16")
    assert profile.negative_prompt == SEED_NEGATIVE
    assert (profile.num_inference_steps, profile.guidance_scale) == (50, 12.0)
    assert profile.scheduler == "EulerAncestralDiscreteScheduler"
    assert (profile.original_size, profile.target_size) == ((4096, 4096), (1024, 1024))
    assert (profile.size(None).width, profile.size(None).height) == (1024, 1024)
    assert len(profile.sizes) == 9
    assert "openrail++" in profile.licence.name
    assert profile.licence.url.startswith("https://")


def test_every_shipped_profile_has_sizes_and_a_licence_and_the_pastel_style_fits_sdxl(tmp_path: Path) -> None:
    catalog = load_catalog(SHIPPED, tmp_path)

    assert {"animagine-xl", "animagine-xl-3.1", "animagine-xl-4", "tiny-random"} <= set(catalog.profiles)
    pastel = catalog.style("pastel", catalog.profile("animagine-xl"))
    assert (pastel.repo, pastel.weight_name) == ("Linaqruf/pastel-anime-xl-lora", "pastel-anime-xl.safetensors")
    with pytest.raises(InvalidRequestError):
        catalog.style("pastel", catalog.profile("tiny-random"))


@pytest.mark.parametrize("name", sorted(path.stem for path in (SHIPPED / "profiles").glob("*.toml")))
def test_a_shipped_profile_names_its_licence_and_samplers_that_are_offered(name: str, tmp_path: Path) -> None:
    profile = load_catalog(SHIPPED, tmp_path).profile(name)

    assert profile.licence.name
    assert profile.licence.offer_source == profile.licence.name.startswith("Fair AI")
    names = [profile.scheduler, *(quality.scheduler for quality in profile.quality.values() if quality.scheduler)]
    assert set(names) <= set(SAMPLERS)
    for quality in profile.quality.values():
        check_steps(quality.scheduler or profile.scheduler, quality.num_inference_steps)
    if profile.quality:
        draft, best = profile.quality["draft"], profile.quality["best"]
        assert draft.num_inference_steps < profile.num_inference_steps < best.num_inference_steps


@pytest.mark.parametrize("name", SDXL_PROFILES)
def test_a_shipped_sdxl_profile_keeps_to_the_buckets_and_has_tags_for_each_rating_that_a_server_can_ask_for(
    name: str, tmp_path: Path
) -> None:
    profile = load_catalog(SHIPPED, tmp_path).profile(name)

    sizes = {(size.width, size.height) for size in profile.sizes}
    assert sizes <= SDXL_BUCKETS
    assert {(1024, 1024), (832, 1216), (1216, 832)} <= sizes
    assert set(profile.steering) == {Rating.GENERAL, Rating.SENSITIVE}
    assert all(steering.negative_prompt for steering in profile.steering.values())
    assert "nsfw" not in profile.prompt_prefix + profile.negative_prompt  # that is the steering's, which knows the channel
    assert profile.licence.url.startswith("https://")
    assert profile.url.startswith("https://")
    draft = profile.quality["draft"]
    assert draft.guidance_scale is None or draft.guidance_scale > 1  # at 1 the negative prompt would not steer


def test_the_shipped_sdxl_models_are_those_that_people_run(tmp_path: Path) -> None:
    catalog = load_catalog(SHIPPED, tmp_path)
    assert {name for name, profile in catalog.profiles.items() if profile.family == "sdxl"} == set(SDXL_PROFILES)


def test_the_velocity_model_is_shipped_with_all_that_its_card_insists_on(tmp_path: Path) -> None:
    profile = load_catalog(SHIPPED, tmp_path).profile("noobai-xl-vpred")

    assert (profile.scheduler, profile.prediction_type) == ("EulerDiscreteScheduler", "v_prediction")
    assert profile.rescale_betas_zero_snr
    assert 4 <= profile.guidance_scale <= 5
    assert all(quality.scheduler is None for quality in profile.quality.values())


def test_the_lcm_lora_is_shipped_for_drafts_and_not_offered_as_a_style(tmp_path: Path) -> None:
    catalog = load_catalog(SHIPPED, tmp_path)
    profile = catalog.profile("animagine-xl-4")

    assert "lcm" not in [style.name for style in catalog.styles_for(profile)]
    lcm = catalog.style(profile.quality["draft"].style or "", profile)
    assert (lcm.repo, lcm.weight_name) == ("latent-consistency/lcm-lora-sdxl", "pytorch_lora_weights.safetensors")
    assert "openrail++" in lcm.licence.name


def test_every_shipped_profile_has_a_classifier_or_says_why_it_needs_none(tmp_path: Path) -> None:
    profiles = load_catalog(SHIPPED, tmp_path).profiles

    unclassified = {name for name, profile in profiles.items() if profile.classifier is None}
    assert unclassified == {"mini", "tiny-random"}
    assert all(profiles[name].unclassified for name in unclassified)


UNPINNED = "when this was written. `doctor` prints"
COMMIT = re.compile(r"[0-9a-f]{40}")


@pytest.mark.parametrize("name", sorted(path.stem for path in (SHIPPED / "profiles").glob("*.toml")))
def test_a_shipped_profile_pins_what_it_fetches_or_says_that_it_does_not(name: str, tmp_path: Path) -> None:
    profile = load_catalog(SHIPPED, tmp_path).profile(name)
    said = (SHIPPED / "profiles" / f"{name}.toml").read_text().count(UNPINNED)
    sources = [profile.source, profile.vae, profile.classifier and profile.classifier.source]
    unpinned = 0
    for source in (source for source in sources if source is not None):
        assert source.revision is None or COMMIT.fullmatch(source.revision), "a branch may move"
        is_made_here = name == "tiny-random"
        has_pins = bool(source.sha256) and (source.repo is None or source.revision is not None)
        unpinned += not (has_pins or is_made_here)

    assert said == unpinned


@pytest.mark.parametrize("name", sorted(path.stem for path in (SHIPPED / "styles").glob("*.toml")))
def test_a_shipped_style_pins_what_it_fetches_or_says_that_it_does_not(name: str, tmp_path: Path) -> None:
    style = load_catalog(SHIPPED, tmp_path).styles[name]
    says_so = UNPINNED in (SHIPPED / "styles" / f"{name}.toml").read_text()
    is_pinned = style.sha256 is not None and (style.repo is None or bool(COMMIT.fullmatch(style.revision or "")))

    assert is_pinned != says_so


def test_weights_that_ship_are_those_that_their_files_name(tmp_path: Path) -> None:
    catalog = load_catalog(SHIPPED, tmp_path)
    mini, style = catalog.profile("mini"), catalog.styles["pastel-mini"]
    assert mini.source.folder is not None
    assert style.file is not None

    assert len(mini.source.sha256) == 4
    check_pins(mini.source.folder, mini.source.sha256)
    assert file_sha256(style.file) == style.sha256
