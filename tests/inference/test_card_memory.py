"""The parts of an SDXL in a GPU's memory are what its shapes say, and a plan is what is done."""

import asyncio
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from bot.bench.setup import TOKENIZERS, random_profile
from bot.bench.torch_side.meta_model import meta_unet, meta_vae
from bot.bench.torch_side.peak import count_peak_bytes
from bot.doctor import examine
from bot.domain.batch_curve import BatchCurve
from bot.domain.memory_plan import Form, MemoryPlan, plan_memory
from bot.domain.profile import ModelSource
from bot.errors import GenerationError
from bot.inference.card_memory import (
    COPIES,
    DECODING,
    EAGER,
    EIGHT_BIT,
    GRAPHS,
    LORA_BYTES,
    LORAS,
    NONE,
    ON_CPU,
    ON_GPU,
    STEP,
    TEXT,
    TILE_PIXELS,
    TILES,
    UNET,
    VAE,
    WHOLE,
    WORKSPACES,
    card_plan,
    parts_of,
)
from bot.inference.engine_settings import EngineSettings
from bot.inference.generator import ADMITTED
from bot.inference.loading.latent_preview import LatentPreview
from bot.inference.loading.pipelines import LoadedModel, load_model
from bot.inference.loading.placing import put_in_place
from bot.inference.loras.merging import layers_of
from bot.inference.measuring.graph_proof import adopt_graphs
from bot.inference.prompts.encoder import PromptEncoder
from bot.inference.random_models.sdxl import SDXL_BASE, random_pipeline
from bot.inference.torch_import import import_libraries
from bot.resources import classifier_device, memory_plan
from bot.settings import SHIPPED_DATA, Settings
from bot.storage.catalog import load_catalog
from tests.inference.conftest import draw, make_generator, make_request, pixels
from tests.inference.fake_graphs import FakeGraphs
from tests.tiny_sdxl import TinyModels, tiny_profile

GIB = 2**30
# GiB on the box, and what drivers report of such cards
CARDS = {8: (7.79, 8), 12: (11.75, 12), 16: (15.7, 16), 24: (23.6, 24), 80: (79.2, 80)}


def animagine():
    return load_catalog(SHIPPED_DATA, Path("/nonexistent")).profile("animagine-xl")


@pytest.fixture(scope="module")
def full_size() -> LoadedModel:
    """SDXL on the meta device: shapes without data."""
    import_libraries()
    pipeline = random_pipeline(SDXL_BASE, TOKENIZERS, device=torch.device("meta"), dtype=torch.float16)
    return LoadedModel(profile=random_profile("base"), text2img=pipeline, img2img=None, preview=LatentPreview.for_sdxl())


def sizes(form: int = 0):
    return {part.name: part.forms[min(form, len(part.forms) - 1)] for part in parts_of(random_profile("base")) or ()}


def test_the_weights_of_the_plan_are_those_of_sdxl(full_size):
    counts = {
        name: sum(tensor.numel() for tensor in getattr(full_size.text2img, name).parameters())
        for name in ("unet", "vae", "text_encoder", "text_encoder_2")
    }
    decoder = sum(tensor.numel() for tensor in full_size.text2img.vae.decoder.parameters())
    changed, rank_32 = Counter(), 0
    for (component, path), shape in layers_of(full_size.text2img).items():
        changed[component] += math.prod(shape)
        if len(shape) == 2 and (component != "unet" or ".attn" in path or ".ff." in path):
            rank_32 += 32 * (shape[0] + shape[1])

    assert sizes()[UNET].size == pytest.approx(2 * counts["unet"], rel=0.01)
    assert sizes()[VAE].size == pytest.approx(2 * counts["vae"] + 4 * decoder, rel=0.01)
    assert sizes()[VAE].size > 4 * counts["vae"]  # a VAE that cannot be scaled works in float32
    assert sizes()[TEXT].size == pytest.approx(2 * (counts["text_encoder"] + counts["text_encoder_2"]), rel=0.01)
    assert sizes()[COPIES].size == pytest.approx(2 * sum(changed.values()), rel=0.01)
    assert pytest.approx(2 * rank_32, rel=0.01) == LORA_BYTES


def test_8_bit_halves_the_unet(full_size):
    unet = meta_unet(full_size, width=1024, height=1024, dtype=torch.float16).module
    unet.enable_layerwise_casting(storage_dtype=torch.float8_e4m3fn, compute_dtype=torch.float16)

    assert sizes(1)[UNET].size == pytest.approx(sum(tensor.nbytes for tensor in unet.parameters()), rel=0.01)


def test_a_pictures_share_of_a_call_is_what_its_shapes_take(full_size):
    unet = meta_unet(full_size, width=1024, height=1024, dtype=torch.float16)

    for pictures in (1, 8):
        peak = count_peak_bytes(lambda pictures=pictures: unet.call(2 * pictures))
        assert pictures * sizes()[STEP].a_picture == pytest.approx(peak, rel=0.01)


def test_decoding_takes_what_its_shapes_take_and_a_fourth_in_tiles(full_size):
    vae = meta_vae(full_size)
    latents, large = (torch.empty(1, 4, side, side, device="meta") for side in (128, 192))
    whole = count_peak_bytes(lambda: vae.decode(latents))
    vae.enable_tiling()
    vae.tile_sample_min_size, vae.tile_latent_min_size = TILE_PIXELS, TILE_PIXELS // 8

    assert sizes()[DECODING].size == pytest.approx(whole, rel=0.01)
    assert count_peak_bytes(lambda: vae.decode(large)) <= sizes(1)[DECODING].size < 0.3 * whole


def test_what_is_computed_and_the_workspaces_make_what_was_measured_on_an_a100(full_size):
    """PyTorch's "Accelerating Generative AI, part 3": 8.96 GB at most with everything, the decoder included, in 16 bit."""
    vae = sum(2 * tensor.numel() for tensor in full_size.text2img.vae.parameters())
    computed = sizes()[UNET].size + sizes()[TEXT].size + vae + sizes()[DECODING].size / 2

    assert computed + sizes()[WORKSPACES].size == pytest.approx(8.96e9, rel=0.01)


def test_storage_counts_what_lives_together_and_nothing_twice():
    layer = torch.nn.Linear(10, 7, device="meta")

    def two():
        one, other = (layer(torch.empty(4, 10, device="meta")) for _ in range(2))
        return one.view(-1) + other.view(-1)

    inputs, outcome = 4 * 10 * 4, 4 * 7 * 4
    assert count_peak_bytes(two) == max(inputs + 2 * outcome, 3 * outcome)


@pytest.mark.parametrize("card", CARDS)
def test_cards_from_8_gb_on_draw_with_16_bit_weights_and_styles(card):
    for gib in CARDS[card]:
        plan = card_plan(animagine(), int(gib * GIB))

        assert plan.fits
        assert plan.cap >= (1 if card == 8 else 4)
        assert plan.form(UNET) != EIGHT_BIT
        assert plan.form(LORAS) != NONE
        assert (plan.form(TEXT), plan.form(DECODING)) == ((ON_CPU, TILES) if card == 8 else (ON_GPU, WHOLE))
        assert plan.form(COPIES) == (ON_GPU if card >= 24 else ON_CPU)


def test_weights_in_8_bit_and_merged_loras_exclude_each_other_on_every_card():
    plans = [card_plan(animagine(), int(gib * GIB / 4)) for gib in range(4 * 4, 4 * 82)]

    assert {(plan.form(UNET) == EIGHT_BIT, plan.form(LORAS) == NONE) for plan in plans} == {(True, True), (False, False)}


def test_most_of_a_lora_is_lost_in_8_bit_weights_and_nothing_beside_them():
    """Why the two exclude each other: a float8 keeps three bits behind the leading one, and a LoRA's share is smaller."""
    generator = torch.Generator().manual_seed(0)
    weight = (0.03 * torch.randn(320, 320, generator=generator)).to(torch.float8_e4m3fn)
    up, down = (torch.randn(shape, generator=generator) for shape in ((320, 8), (8, 320)))
    delta = 1e-3 * (up @ down) / 8**0.5
    inputs = torch.randn(4, 320, generator=generator)

    merged = (weight.float() + delta).to(torch.float8_e4m3fn)
    survived = (merged.float() != weight.float()).float().mean().item()
    exact = inputs @ (weight.float() + delta).T
    beside = inputs @ weight.float().T + 1e-3 / 8**0.5 * ((inputs @ down.T) @ up.T)

    assert survived < 0.25
    assert torch.allclose(beside, exact, atol=1e-5)
    assert (inputs @ merged.float().T - exact).abs().mean() > 100 * (beside - exact).abs().mean()


def small_plan(**forms: str) -> MemoryPlan:
    """Of a card so small that everything gave way, but for what is named."""
    plan = plan_memory(1, parts_of(animagine()) or ())
    return replace(plan, forms={name: replace(form, name=forms.get(name, form.name)) for name, form in plan.forms.items()})


def test_a_plan_puts_the_model_where_it_says(models: TinyModels):
    loaded = load_model(tiny_profile(ModelSource(folder=models.folder)), device="cpu", plan=small_plan())
    pipeline = loaded.text2img

    stored = Counter(tensor.dtype for tensor in pipeline.unet.parameters())
    assert stored[torch.float8_e4m3fn] > stored[torch.float32] > 0
    assert pipeline.unet.dtype == torch.float32
    assert pipeline.vae.use_tiling
    assert pipeline.vae.tile_sample_min_size == TILE_PIXELS
    assert pipeline.vae.tile_latent_min_size * pipeline.vae_scale_factor == TILE_PIXELS


def test_prompts_are_read_where_the_text_encoders_are(models: TinyModels, monkeypatch):
    pipeline = load_model(tiny_profile(ModelSource(folder=models.folder)), device="cpu").text2img
    expected = PromptEncoder(pipeline).encode("1girl, (hat:1.2)", "lowres")

    put_in_place(pipeline, torch.device("meta"), small_plan())  # meta: a GPU that no test machine needs to have
    monkeypatch.setattr(type(pipeline), "device", torch.device("meta"))  # diffusers takes that of whichever part comes first
    read = PromptEncoder(pipeline).encode("1girl, (hat:1.2)", "lowres")

    assert pipeline.unet.device.type == pipeline.vae.device.type == "meta"
    assert torch.equal(read.prompt_embeds, expected.prompt_embeds)
    assert torch.equal(read.negative_prompt_embeds, expected.negative_prompt_embeds)


@pytest.fixture
async def small_generator(models: TinyModels):
    curve = BatchCurve(((1, 1.0), (2, 1.1), (4, 1.2), (8, 1.3)))
    generator = make_generator(models, engine=EngineSettings(curve=curve, plan=replace(small_plan(), cap=3)))
    await generator.load()
    yield generator
    await generator.close()


async def test_a_model_in_8_bit_and_in_tiles_draws(small_generator):
    drawn = await draw(small_generator, make_request())

    assert pixels(drawn.images[0].data).std() > 2
    assert small_generator._session.model.text2img.vae.use_tiling  # for the next picture too


async def test_no_call_holds_more_pictures_than_there_is_room_for(small_generator):
    assert small_generator.batch == 2  # of the measured sizes the largest below three


async def test_in_8_bit_styles_are_refused_with_a_sentence(small_generator):
    with pytest.raises(GenerationError, match="too small for styles"):
        await draw(small_generator, make_request(style="pastel"))


async def test_on_a_small_card_fewer_pictures_wait_in_its_memory(small_generator, monkeypatch):
    engine = small_generator._session.engine
    assert small_generator.capacity == ADMITTED

    monkeypatch.setattr(engine, "kept_bytes", 128 * 2**20)

    assert small_generator.capacity == 0  # nobody is under way, and nobody is admitted


@pytest.mark.parametrize("card", CARDS)
def test_graphs_give_way_before_anything_else_and_change_nothing_then(card):
    for gib in CARDS[card]:
        plain, plan = (card_plan(animagine(), int(gib * GIB), graphs=graphs) for graphs in (False, True))

        assert plan.fits
        assert (plan.form(GRAPHS) == EAGER) == (card <= 16)
        assert plain.form(GRAPHS) is None
        if plan.form(GRAPHS) == EAGER:
            assert (plan.cap, plan.in_use) == (plain.cap, plain.in_use)
        assert {name: form for name, form in plan.forms.items() if name != GRAPHS} == plain.forms


def test_graphs_keep_the_memory_of_the_largest_call_beside_steps_and_decoding():
    part = next(part for part in parts_of(random_profile("base"), graphs=True) or () if part.name == GRAPHS)
    plain, plan = (card_plan(animagine(), 79 * GIB, graphs=graphs) for graphs in (False, True))
    share = plan.forms[STEP].a_picture

    assert part.forms[0].a_picture == sizes()[STEP].a_picture
    assert plan.in_use == plain.in_use + plan.forms[GRAPHS].size + plan.cap * share


def test_a_card_without_room_for_graphs_draws_without_them(models: TinyModels):
    for name, wanted in ((EAGER, False), ("one pool", True)):
        loaded = load_model(tiny_profile(ModelSource(folder=models.folder)), device="cpu")
        loaded.plan = card_plan(animagine(), 79 * GIB, graphs=True)
        loaded.plan = replace(loaded.plan, forms={**loaded.plan.forms, GRAPHS: Form(name)})
        adopt_graphs(loaded, EngineSettings(graphs="on"), FakeGraphs())

        assert (loaded.graphs is not None) is wanted


@pytest.mark.parametrize(
    ("given", "there"), [({}, False), ({"graphs": "auto"}, True), ({"graphs": "auto", "compile": True}, False)]
)
def test_room_for_graphs_is_kept_only_where_they_are_wanted(monkeypatch, given, there):
    monkeypatch.setattr("bot.resources.cuda_memory", lambda index: 80 * GIB)
    plan = memory_plan(Settings.model_construct(device="auto", **given), animagine())

    assert (GRAPHS in plan.forms) is there


@pytest.mark.parametrize(("gib", "device"), [(None, "auto"), (80, "auto"), (8, "cpu")])
def test_the_classifier_runs_beside_a_gpu_that_has_no_room_for_it(monkeypatch, gib, device):
    monkeypatch.setattr("bot.resources.cuda_memory", lambda index: None if gib is None else gib * GIB)
    settings = Settings.model_construct(device="auto")

    assert classifier_device(settings, memory_plan(settings, animagine())) == device


def test_no_plan_is_made_for_a_cpu_or_for_a_small_model(monkeypatch):
    monkeypatch.setattr("bot.resources.cuda_memory", lambda index: 8 * GIB)

    assert memory_plan(Settings.model_construct(device="cpu"), animagine()) is None
    assert memory_plan(Settings.model_construct(device="cuda:0"), replace(animagine(), family="pastel")) is None


@pytest.mark.parametrize(
    ("gib", "expected"),
    [
        (
            8,
            (
                "ok    memory of the GPU: at most 3 pictures share a step; to make room: ",
                "4.78 GiB  UNet (16 bit)",
                "at most, of 8.00",
            ),
        ),
        (3, ("warn  memory of the GPU: animagine-xl needs ", "and this GPU has 3.0. Set MODEL to a smaller one")),
    ],
)
def test_doctor_prints_the_plan(monkeypatch, capsys, tmp_path, gib, expected):
    monkeypatch.setattr("bot.resources.cuda_memory", lambda index: gib * GIB)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MODEL", "animagine-xl")
    monkeypatch.setenv("DATA_DIR", str(tmp_path))

    asyncio.run(examine())

    printed = capsys.readouterr().out
    for text in expected:
        assert text in printed


def test_doctor_prints_what_graphs_take(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr("bot.resources.cuda_memory", lambda index: 80 * GIB)
    monkeypatch.chdir(tmp_path)
    for name, value in (("MODEL", "animagine-xl"), ("DATA_DIR", str(tmp_path)), ("GRAPHS", "auto")):
        monkeypatch.setenv(name, value)

    asyncio.run(examine())

    assert "GiB  CUDA graphs (16 pictures)" in capsys.readouterr().out
