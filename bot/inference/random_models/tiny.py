"""A tiny SDXL with random weights: real in every part, 2.3 million parameters, built offline in a second.

It serves the tests, and lets somebody try the bot before a trained model is there. Its pictures are coloured noise.
The shapes follow SDXL (two text encoders, `text_time` conditioning, linear projections in the transformers), so that code
that loads or runs SDXL meets nothing different here. torch is imported when something is built.
"""

# diffusers exports lazily and annotates tuples of any length as tuple[int]; torch and transformers are partly unannotated.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false
from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from diffusers import AutoencoderKL, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTokenizer

WIDTH, WIDTH_2 = 32, 48  # of the text encoders, different as in SDXL; the UNet sees both side by side
LATENT_CHANNELS = 4
PIXEL_STD = 0.5  # of the decoder's output, which runs from -1 to 1
START, END = "<|startoftext|>", "<|endoftext|>"


def build_tiny_sdxl(folder: Path, seed: int = 0, *, variant: str | None = None) -> None:
    """Write a diffusers folder with safetensors weights; the same seed always gives the same weights.

    With `variant` "fp16" the files carry that name and hold float16.
    """
    pipeline: Any = tiny_pipeline(folder, seed)
    if variant == "fp16":
        import torch

        pipeline.to(dtype=torch.float16)
    pipeline.save_pretrained(folder, safe_serialization=True, variant=variant)


def tiny_pipeline(folder: Path, seed: int) -> StableDiffusionXLPipeline:
    """Returns the pipeline in float32 on the CPU; its tokenizer files are written into `folder`."""
    _quiet()
    import torch
    from diffusers import EulerAncestralDiscreteScheduler, StableDiffusionXLPipeline
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return StableDiffusionXLPipeline(
            vae=_vae(),
            text_encoder=CLIPTextModel(_text_config(WIDTH)),
            text_encoder_2=CLIPTextModelWithProjection(_text_config(WIDTH_2)),
            tokenizer=_tokenizer(folder / "tokenizer"),
            tokenizer_2=_tokenizer(folder / "tokenizer_2"),
            unet=_unet(),
            scheduler=EulerAncestralDiscreteScheduler(
                beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear", timestep_spacing="leading", steps_offset=1
            ),
            add_watermarker=False,
        )


def _quiet() -> None:
    """Silence both libraries: they warn about torchvision when imported, and draw bars while they save."""
    from diffusers.utils import logging as diffusers_logging
    from transformers.utils import logging as transformers_logging

    for library in (diffusers_logging, transformers_logging):
        library.set_verbosity_error()
        library.disable_progress_bar()


def _unet() -> UNet2DConditionModel:
    """Returns a UNet of two levels: the outer without, the inner with attention, as SDXL has one without and two with."""
    from diffusers import UNet2DConditionModel

    return UNet2DConditionModel(
        sample_size=16,
        in_channels=LATENT_CHANNELS,
        out_channels=LATENT_CHANNELS,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        block_out_channels=(32, 64),
        layers_per_block=2,
        transformer_layers_per_block=(1, 2),
        attention_head_dim=(2, 4),
        use_linear_projection=True,
        norm_num_groups=8,
        cross_attention_dim=WIDTH + WIDTH_2,
        addition_embed_type="text_time",
        addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=6 * 8 + WIDTH_2,
    )


def _vae() -> AutoencoderKL:
    """Returns a VAE that scales by a factor of 8, as SDXL's."""
    from diffusers import AutoencoderKL

    vae: Any = AutoencoderKL(
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D",) * 4,
        up_block_types=("UpDecoderBlock2D",) * 4,
        block_out_channels=(16, 16, 32, 32),
        layers_per_block=1,
        latent_channels=LATENT_CHANNELS,
        norm_num_groups=8,
        sample_size=128,
        scaling_factor=0.13025,
        force_upcast=True,
    )
    spread_colours(vae)
    return vae


def spread_colours(vae: Any) -> None:
    """Set the last layer of a random VAE so that its output for noise is neither flat nor black."""
    import torch

    latents = torch.randn(1, vae.config.latent_channels, 16, 16, device=vae.device, dtype=vae.dtype)
    with torch.no_grad():
        decoded = vae.decode(latents / vae.config.scaling_factor).sample
        mean, std = decoded.mean(dim=(0, 2, 3)), decoded.std(dim=(0, 2, 3))
        gain = PIXEL_STD / std
        vae.decoder.conv_out.weight.mul_(gain[:, None, None, None])
        vae.decoder.conv_out.bias.sub_(mean).mul_(gain)


def _text_config(width: int) -> CLIPTextConfig:
    from transformers import CLIPTextConfig

    return CLIPTextConfig(
        vocab_size=len(_vocabulary()),
        hidden_size=width,
        intermediate_size=37,
        num_hidden_layers=5,
        num_attention_heads=4,
        max_position_embeddings=77,
        projection_dim=width,
        hidden_act="gelu",
        bos_token_id=_vocabulary()[START],
        eos_token_id=_vocabulary()[END],
        pad_token_id=_vocabulary()[END],
    )


def _tokenizer(folder: Path) -> CLIPTokenizer:
    """Returns CLIP's byte-level tokenizer without merges: each byte of a prompt is a token."""
    from transformers import CLIPTokenizer

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps(_vocabulary()), encoding="utf-8")
    (folder / "merges.txt").write_text("#version: 0.2\n", encoding="utf-8")
    config = {
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": 77,
        "bos_token": START,
        "eos_token": END,
        "pad_token": END,
        "unk_token": END,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config), encoding="utf-8")
    tokenizer: CLIPTokenizer = CLIPTokenizer.from_pretrained(str(folder))
    return tokenizer


def _vocabulary() -> dict[str, int]:
    """Returns GPT-2's printable symbols for the 256 bytes, each also as the end of a word, and CLIP's two special tokens."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    others = [chr(256 + index) for index in range(256 - len(printable))]
    letters = [chr(code) for code in printable] + others
    tokens = [*letters, *(letter + "</w>" for letter in letters), START, END]
    return {token: index for index, token in enumerate(tokens)}
