"""The recipe, one stage a command: `python -m bot.training.mini.recipe STAGE --state FOLDER`; run it again to resume.

Stages in order: draw, text, latents, then autoencoder and denoiser (side by side, if there are cores), export, sheet, curves.
"""

# diffusers exports lazily and annotates tuples of any length as tuple[int]; torch and transformers are partly unannotated.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false
from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from bot.training.checkpoint import load_state, save_state
from bot.training.loop import Schedule, Training, averaged_weights, save_weights
from bot.training.mini.autoencoder import AutoencoderShape, AutoencoderTask, build_autoencoder
from bot.training.mini.components import Components, fit_components
from bot.training.mini.curves import save_curves
from bot.training.mini.dataset import Bucket, draw_bucket, open_bucket, portrait_at
from bot.training.mini.denoiser import DenoiserTask, Examples
from bot.training.mini.export import export_pipeline, load_pipeline, sample_sheet
from bot.training.mini.latents import encode_bucket, open_latents
from bot.training.mini.networks import Denoiser, DenoiserShape, build_tokenizer
from bot.training.mini.text_encoders import TextTask

SEED = 7
BUCKETS = (
    Bucket(width=256, height=256, count=12288),
    Bucket(width=224, height=288, count=5120),
    Bucket(width=288, height=224, count=3072),
)
COMPONENTS = "components.safetensors"  # beside the exported pipeline: other drawings would have other components
CROP = 128  # pixels; convolutions learn as much from squares as from whole pictures, in more and smaller steps
AUTOENCODER = Schedule(steps=5600, learning_rate=1e-3, ema_decay=0.999, seed=SEED + 1)
DENOISER = Schedule(steps=5000, learning_rate=6e-4, warmup=150, ema_decay=0.999, seed=SEED + 2)
FURTHER = Schedule(steps=1500, learning_rate=4e-4, warmup=150, ema_decay=0.999, seed=SEED + 2)  # after `restore`
TEXT = Schedule(steps=2000, learning_rate=1e-3, ema_decay=0.995, seed=SEED + 3)


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """The parsed command line."""

    state: Path
    threads: int = 1
    out: Path = Path("mini")
    device: str = "cpu"

    @property
    def pictures(self) -> Path:
        return self.state / "pictures"


def draw(options: Options) -> None:
    """Draw the training pictures."""
    for bucket in BUCKETS:
        draw_bucket(options.pictures, bucket, SEED, options.threads)


def encode(options: Options) -> None:
    """Fit the latent space and encode all pictures."""
    shape = AutoencoderShape()
    path = options.state / "components.pt"
    if not path.exists():
        found = fit_components(open_bucket(options.pictures, BUCKETS[0]), shape.latent_channels, shape.pixels)
        save_state(path, {"weight": found.weight, "bias": found.bias})
    for bucket in BUCKETS:
        encode_bucket(options.state, bucket, open_components(options), open_bucket(options.pictures, bucket))


def open_components(options: Options) -> Components:
    state = load_state(options.state / "components.pt")
    if state is None:
        raise SystemExit("Run the stage `latents` first.")
    return Components(weight=state["weight"], bias=state["bias"])


def train_autoencoder(options: Options) -> None:
    """Train encoder and decoder on the fixed latents."""
    vae = build_autoencoder(AutoencoderShape(), SEED).to(options.device)
    pictures = [open_bucket(options.pictures, bucket) for bucket in BUCKETS]
    task = AutoencoderTask(vae, open_components(options), pictures, batch_size=8, side=CROP, seed=SEED)
    Training(task, AUTOENCODER, options.state, "autoencoder").run(threads=options.threads)


def train_text(options: Options) -> None:
    """Teach the text encoders to name the labels in a caption."""
    tokenizer = build_tokenizer(options.state / "tokenizer")
    task = TextTask(Denoiser(DenoiserShape(), tokenizer, SEED).to(options.device), tokenizer, batch_size=64, seed=SEED + 3)
    Training(task, TEXT, options.state, "text").run(threads=options.threads)


def train_denoiser(options: Options) -> None:
    """Train the UNet; the trained text encoders do not change."""
    tokenizer = build_tokenizer(options.state / "tokenizer")
    denoiser = Denoiser(DenoiserShape(), tokenizer, SEED)
    latents = open_latents(options.state, BUCKETS)
    text = _read_text(options)
    denoiser.load_state_dict(text, strict=False)
    examples = Examples(buckets=BUCKETS, latents=latents, portrait=partial(portrait_at, SEED))
    task = DenoiserTask(denoiser.to(options.device), tokenizer, examples, batch_size=64, seed=SEED + 2)
    Training(task, DENOISER if text else FURTHER, options.state, "denoiser").run(threads=options.threads)


def _read_text(options: Options) -> dict[str, Tensor]:
    if not (options.state / "text.pt").exists() and (options.state / "denoiser.pt").exists():
        return {}  # restored: its encoders can read
    weights = averaged_weights(options.state / "text.pt")
    return {name: value for name, value in weights.items() if not name.startswith("heads.")}


def restore(options: Options) -> None:
    """Restart from the pipeline exported to --out when its checkpoints are gone: average and weights are the same then.

    Run it before `latents`, which otherwise finds components of its own that neither network knows.
    """
    pipeline: Any = load_pipeline(options.out)
    denoiser = Denoiser(DenoiserShape(), build_tokenizer(options.state / "tokenizer"), SEED)
    for part in ("text_encoder", "text_encoder_2", "unet"):
        getattr(denoiser, part).load_state_dict(getattr(pipeline, part).state_dict())
    save_weights(options.state / "autoencoder.pt", pipeline.vae)
    save_weights(options.state / "denoiser.pt", denoiser)
    save_state(options.state / "components.pt", load_file(options.out / COMPONENTS))


def export(options: Options) -> None:
    """Write the averaged weights as a float16 StableDiffusionXLPipeline into --out."""
    tokenizer = build_tokenizer(options.state / "tokenizer")
    denoiser = Denoiser(DenoiserShape(), tokenizer, SEED)
    denoiser.load_state_dict(averaged_weights(options.state / "denoiser.pt"))
    vae = build_autoencoder(AutoencoderShape(), SEED)
    vae.load_state_dict(averaged_weights(options.state / "autoencoder.pt"))
    export_pipeline(options.out, denoiser, tokenizer, vae)
    components = open_components(options)
    weights = {"weight": components.weight.contiguous(), "bias": components.bias}
    save_file(weights, options.out / COMPONENTS)


def sheet(options: Options) -> None:
    """Draw the exported checkpoint's contact sheet, a PNG beside --out."""
    sample_sheet(options.out).save(options.out.with_suffix(".png"))


def curves(options: Options) -> None:
    """Draw the loss logs as a picture into --out."""
    options.out.mkdir(parents=True, exist_ok=True)
    names = ("text", "autoencoder", "denoiser")
    save_curves({name: options.state / f"{name}.csv" for name in names}, options.out / "loss.png")


STAGES: Mapping[str, Callable[[Options], None]] = MappingProxyType(
    {
        "draw": draw,
        "text": train_text,
        "latents": encode,
        "autoencoder": train_autoencoder,
        "denoiser": train_denoiser,
        "restore": restore,
        "export": export,
        "sheet": sheet,
        "curves": curves,
    }
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("--state", type=Path, required=True, help="folder for pictures, checkpoints and logs (gigabytes)")
    parser.add_argument("--out", type=Path, default=Path("mini"), help="folder that export writes and sheet reads")
    parser.add_argument("--threads", type=int, default=1, help="CPU threads at most (default: 1)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default: cpu)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    options = {name: value for name, value in vars(arguments).items() if name != "stage"}
    STAGES[arguments.stage](Options(**options))


if __name__ == "__main__":
    main()
