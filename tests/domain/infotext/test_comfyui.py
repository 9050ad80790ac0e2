"""ComfyUI's graphs: the prompts of the sampler that drew first, whatever its kind, and never for long."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.infotext.lora_tags import LoraTag
from bot.domain.infotext.picture_settings import PictureSettings
from bot.domain.infotext.reader import parse

LOADER = {"class_type": "CheckpointLoaderSimple", "inputs": {"ckpt_name": "noob.safetensors"}}
EMPTY = {"class_type": "EmptyLatentImage", "inputs": {"width": 832, "height": 1216, "batch_size": 1}}


def clip(text: Any) -> dict[str, Any]:
    return {"class_type": "CLIPTextEncode", "inputs": {"text": text, "clip": ["1", 1]}}


def sampler(**more: Any) -> dict[str, Any]:
    inputs = {
        "seed": 5, "steps": 20, "cfg": 7.0, "sampler_name": "euler", "scheduler": "karras", "denoise": 1,
        "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0], "latent_image": ["4", 0],
    }  # fmt: skip
    return {"class_type": "KSampler", "inputs": inputs | more}


def graph(**more: Any) -> dict[str, Any]:
    """The graph that ComfyUI opens with."""
    return {"1": LOADER, "2": clip("1girl"), "3": clip("hat"), "4": EMPTY, "9": sampler()} | more


def read(values: dict[str, Any]) -> PictureSettings:
    return parse(json.dumps(values))


BASIC = PictureSettings(
    prompt="1girl", negative_prompt="hat", steps=20, guidance_scale=7, seed=5, size=(832, 1216), sampler="euler",
    model="noob.safetensors", program="ComfyUI",
)  # fmt: skip


def test_the_graph_that_comfyui_opens_with_is_read():
    assert read(graph()) == BASIC


def test_the_sampler_that_began_counts_and_not_the_one_that_went_on():
    second = sampler(seed=6, steps=9, latent_image=["5", 0], denoise=0.5)
    upscaled = {"class_type": "LatentUpscale", "inputs": {"samples": ["9", 0], "width": 99, "height": 99}}

    assert read({"8": second, "5": upscaled, **graph()}).seed == 5


def test_newer_samplers_keep_their_values_in_nodes_beside_them():
    own = {"noise": ["10", 0], "guider": ["11", 0], "sampler": ["12", 0], "sigmas": ["13", 0], "latent_image": ["4", 0]}
    guider = {"cfg": 7, "model": ["1", 0], "positive": ["2", 0], "negative": ["3", 0]}
    beside = {
        "9": {"class_type": "SamplerCustomAdvanced", "inputs": own},
        "10": {"class_type": "RandomNoise", "inputs": {"noise_seed": 5}},
        "11": {"class_type": "CFGGuider", "inputs": guider},
        "12": {"class_type": "KSamplerSelect", "inputs": {"sampler_name": "euler"}},
        "13": {"class_type": "BasicScheduler", "inputs": {"steps": 20, "scheduler": "karras", "model": ["1", 0]}},
    }

    assert read(graph(**beside)) == BASIC


def test_a_prompt_is_followed_through_other_nodes_on_its_own_side():
    control = {"class_type": "ControlNetApplyAdvanced", "inputs": {"positive": ["2", 0], "negative": ["3", 0], "strength": 1}}
    typed = {"class_type": "PrimitiveString", "inputs": {"value": "1girl"}}
    through = sampler(positive=["5", 0], negative=["5", 1], seed=["7", 0])

    found = read(graph(**{"2": clip(["6", 0]), "5": control, "6": typed, "7": {"inputs": {"value": 5}}, "9": through}))

    assert found == BASIC


def test_what_is_mixed_in_is_named_and_what_is_zeroed_says_nothing():
    mixed = {"class_type": "ConditioningCombine", "inputs": {"conditioning_1": ["2", 0], "conditioning_2": ["3", 0]}}
    zeroed = {"class_type": "ConditioningZeroOut", "inputs": {"conditioning": ["2", 0]}}

    found = read(graph(**{"5": mixed, "6": zeroed, "9": sampler(positive=["5", 0], negative=["6", 0])}))

    assert (found.prompt, found.negative_prompt) == ("1girl", "")
    assert found.unread == ("further prompts that are mixed in",)


def test_loras_are_found_on_the_way_to_the_model_and_those_switched_off_are_not():
    one = {"class_type": "LoraLoader", "inputs": {"lora_name": "ink.safetensors", "strength_model": 0.5, "model": ["6", 0]}}
    rows = {"lora_1": {"on": True, "lora": "far", "strength": 0.3}, "lora_2": {"on": False, "lora": "off", "strength": 1}}
    many = {"class_type": "Power Lora Loader (rgthree)", "inputs": {**rows, "model": ["1", 0]}}

    found = read(graph(**{"5": one, "6": many, "9": sampler(model=["5", 0])}))

    assert found.loras == (LoraTag(name="ink.safetensors", weight=0.5), LoraTag(name="far", weight=0.3))
    assert found.model == "noob.safetensors"


@pytest.mark.parametrize(
    "values",
    [
        {"3": {"class_type": "KSampler", "inputs": {"seed": 5, "steps": 20}}},
        {"2": clip("1girl")},
        graph(**{"2": clip(["2", 0])}),
        graph(**{"2": clip(["5", 0]), "5": clip(["2", 0])}),
        graph(**{"2": clip(["nowhere", 0])}),
        graph(**{"2": clip(5)}),
        graph(**{"2": 5}),
    ],
)
def test_a_graph_in_which_no_prompt_is_found_is_named_and_no_prompt(values: dict[str, Any]):
    found = read(values)

    assert (found.prompt, found.program, found.is_understood) == ("", "ComfyUI", False)


def test_a_seed_keeps_all_its_digits():
    assert read(graph(**{"9": sampler(seed=2**63 + 1)})).seed == 2**63 + 1


@pytest.mark.timeout(60)  # a second where the work grows with the length, and hours where it grows with its square
def test_a_graph_made_to_take_long_does_not():
    ring = {str(n): sampler(positive=[str((n + 1) % 2000), 0], latent_image=[str((n + 1) % 2000), 0]) for n in range(2000)}
    for node in ring.values():
        node["inputs"]["seed"] = [node["inputs"]["positive"][0], 0]
    chain = {str(n): {"class_type": "x", "inputs": {"samples": [str(n + 1), 0], "width": [str(n + 1), 0]}} for n in range(3000)}
    many = {f"s{n}": sampler(latent_image=["0", 0], positive=["0", 0]) for n in range(500)}

    for values in (ring, chain | many):
        assert not read(values).is_understood


LINKS = st.tuples(st.sampled_from("12345"), st.integers(0, 1)).map(list)
NAMES = st.sampled_from(["positive", "negative", "text", "conditioning", "seed", "steps", "noise", "sigmas", "guider"])
NAMES |= st.sampled_from(["model", "latent_image", "width", "height", "lora_name", "lora_1", "strength_model", "cfg", "value"])
INPUTS = st.dictionaries(NAMES, LINKS | st.text(max_size=5) | st.integers() | st.floats() | st.none() | st.lists(st.none()))
NODES = st.fixed_dictionaries({"class_type": st.sampled_from(["KSampler", "ZeroOut", ""]), "inputs": INPUTS | st.none()})


@given(st.dictionaries(st.sampled_from("12345"), NODES | st.none(), max_size=5))
def test_no_graph_makes_it_raise(values: dict[str, Any]):
    read(values)
