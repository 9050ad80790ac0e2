"""What programs other than A1111 write: understood where a prompt is found, else named, and never a prompt itself."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bot.domain.infotext.json_notes import read_json
from bot.domain.infotext.lora_tags import LoraTag
from bot.domain.infotext.picture_settings import PictureSettings, not_understood
from bot.domain.infotext.reader import parse

COMMON = PictureSettings(prompt="1girl", negative_prompt="hat", steps=20, guidance_scale=7, seed=5, size=(832, 1216))
SIDES = {"width": 832, "height": 1216}


def found(values: Any) -> PictureSettings:
    return parse(json.dumps(values))


def known(**more: Any) -> PictureSettings:
    return replace(COMMON, **more)


def test_swarmui_is_read_with_its_loras():
    values = {
        "prompt": "1girl <lora:tag:0.3>", "negativeprompt": "hat", "seed": 5, "steps": 20, "cfgscale": 7, **SIDES,
        "model": "noob", "sampler": "euler", "loras": ["sub/ink", "far"], "loraweights": ["0.5", ".7"],
    }  # fmt: skip

    assert found({"sui_image_params": values, "sui_extra_data": {"date": "x"}}) == known(
        model="noob",
        sampler="euler",
        program="SwarmUI",
        loras=(LoraTag(name="tag", weight=0.3), LoraTag(name="sub/ink", weight=0.5), LoraTag(name="far", weight=0.7)),
    )


@pytest.mark.parametrize(
    "loras",
    [{"loras": [["ink", 0.5, "0a"]]}, {"lora_combined_1": "ink : 0.5"}, {"loras": [["0a", "0.5 - ink"]]}],
)
def test_fooocus_and_its_forks_are_read(loras: dict[str, Any]):
    values = {
        "prompt": "1girl", "negative_prompt": "hat", "seed": "5", "steps": 20, "guidance_scale": 7.0,
        "resolution": "(832, 1216)", "base_model": "noob", "metadata_scheme": "fooocus", "full_prompt": ["x"],
    }  # fmt: skip

    read = found(values | loras)

    assert read == known(model="noob", program="Fooocus", loras=(LoraTag(name="ink", weight=0.5),))
    older = {"Prompt": "1girl", "Negative": "hat", "steps": 20, "cfg": 7, "seed": 5, **SIDES, "software": "RuinedFooocus"}
    assert found(older) == known(program="RuinedFooocus")


@pytest.mark.parametrize("has_prompt", [True, False])
def test_novelai_is_read_with_the_prompt_inside_or_beside_its_comment(has_prompt: bool):
    comment = {"uc": "hat", "seed": 5, "steps": 20, "scale": 7.0, "sampler": "k_euler", **SIDES}
    comment |= {"prompt": "1girl"} if has_prompt else {}

    read = found({"Software": "NovelAI", "Description": "1girl", "Comment": json.dumps(comment)})

    assert read == known(sampler="k_euler", program="NovelAI")


def test_prompts_of_single_characters_are_named_as_left_out():
    prompt = {"caption": {"base_caption": "1girl", "char_captions": [{"char_caption": "hat"}]}}
    read = found({"Software": "NovelAI", "Comment": json.dumps({"prompt": "1girl", "uc": "", "v4_prompt": prompt})})

    assert (read.prompt, read.unread) == ("1girl", ("character prompts",))


@pytest.mark.parametrize("lora", [{"model": {"name": "ink", "hash": "0"}}, {"lora": {"model_name": "ink"}}])
def test_invokeai_is_read(lora: dict[str, Any]):
    values = {
        "app_version": "5", "positive_prompt": "1girl", "negative_prompt": "hat", "seed": 5, "steps": 20, **SIDES,
        "cfg_scale": 7,
        "model": {"name": "noob", "base": "sdxl"}, "scheduler": "euler_a", "loras": [{**lora, "weight": 0.75}],
    }  # fmt: skip

    assert found(values) == known(
        model="noob", sampler="euler_a", program="InvokeAI", loras=(LoraTag(name="ink", weight=0.75),)
    )


@pytest.mark.parametrize(
    ("value", "steps"),
    [("20", 20), (20.0, 20), (20.5, None), (-1, None), (True, None), (10**30, None), ([20], None), (None, None)],
)
def test_a_number_is_read_by_its_value_or_not_at_all(value: Any, steps: int | None):
    assert found({"prompt": "x", "steps": value}).steps == steps


@pytest.mark.parametrize(
    "text", ['{"prompt": "x", "cfg": NaN}', '{"prompt": "x", "cfg": 1e999}', '{"prompt": "x", "cfg": -Infinity}']
)
def test_what_is_no_finite_number_is_left_out(text: str):
    assert (parse(text).prompt, parse(text).guidance_scale) == ("x", None)


@pytest.mark.parametrize(
    ("values", "program"),
    [
        ({"metadata_scheme": "fooocus"}, "Fooocus"),
        ({"sui_image_params": {"prompt": 5}}, "SwarmUI"),
        ({"Software": "NovelAI", "Comment": "not JSON"}, "NovelAI"),
        ({"nodes": [], "links": []}, "ComfyUI"),
        ({"prompt": "  "}, None),
        ({"weather": "good"}, None),
    ],
)
def test_what_has_no_prompt_is_named_by_its_program(values: Any, program: str | None):
    assert found(values) == not_understood(program)


@pytest.mark.parametrize("text", ["1girl", "{1girl}", '{"a"', '{"a": ' * 40_000, '{"a": ' + "9" * 5_000 + "}"])
@pytest.mark.timeout(60)  # a second where the work grows with the length, and hours where it grows with its square
def test_what_is_no_json_that_python_reads_is_left_to_others(text: str):
    assert read_json(text) is None


LEAVES = (
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9) | st.sampled_from(["1girl", "<lora:a:2>"])
)
KEYS = st.sampled_from(["prompt", "Comment", "sui_image_params", "image", "loras", "lora weights", "model", "seed", "width"])
KEYS |= st.sampled_from(["v4_prompt", "caption", "software", "uc", "nodes", "links", "class_type", "inputs", "resolution"])
TREES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=5), max_leaves=20
)


@given(st.dictionaries(KEYS, TREES, max_size=8))
def test_no_json_makes_it_raise(values: dict[str, Any]):
    parse(json.dumps(values))
    parse(json.dumps({"Comment": json.dumps(values)}))
