"""The recipe, one stage a command: `python -m bot.training.recipe STAGE --state FOLDER`; run it again to resume.

Stages in order: draw, autoencoder, latents, then decoder and denoiser (side by side, if there are cores),
export, sheet, curves.
"""

# diffusers exports lazily and annotates tuples of any length as tuple[int]; torch and transformers are partly unannotated.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from types import MappingProxyType

import torch
from diffusers import AutoencoderKL

from bot.training.autoencoder import AutoencoderShape, AutoencoderTask, DecoderTask, build_autoencoder
from bot.training.checkpoint import load_state, save_state
from bot.training.curves import draw_curves
from bot.training.dataset import Bucket, draw_bucket, open_bucket, portrait_at
from bot.training.denoiser import DenoiserTask, Examples
from bot.training.export import export_pipeline, sample_sheet
from bot.training.latents import encode_bucket, open_latents, standardise
from bot.training.loop import Schedule, Training, averaged_weights
from bot.training.networks import Denoiser, DenoiserShape, build_tokenizer

SEED = 7
BASE_SIDE = 128
BUCKETS = (
    Bucket(width=128, height=128, count=24576),
    Bucket(width=96, height=128, count=9216),
    Bucket(width=128, height=96, count=6144),
)
ENCODED_SHARE = 0.25  # of the pictures; raise it and run `latents` again when the denoiser has seen them often
AUTOENCODER = Schedule(steps=2600, learning_rate=1e-3, ema_decay=0.998, seed=SEED)
DECODER = Schedule(steps=12000, learning_rate=6e-4, ema_decay=0.999, seed=SEED + 1)
DENOISER = Schedule(steps=60000, learning_rate=5e-4, warmup=300, ema_decay=0.999, seed=SEED + 2)
GROWN_RATE = 0.4  # of the learning rate, where training starts from a smaller side's weights


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line gave. `side` is the longer side of the pictures; 256 grows from what 128 has learnt."""

    state: Path
    threads: int = 1
    out: Path = Path("mini")
    device: str = "cpu"
    side: int = BASE_SIDE

    @property
    def pictures(self) -> Path:
        return self.state / "pictures"

    @property
    def folder(self) -> Path:
        """Checkpoints, latents and logs of this side."""
        return self.state if self.side == BASE_SIDE else self.state / str(self.side)

    @property
    def buckets(self) -> tuple[Bucket, ...]:
        """Larger sides have fewer pictures, of the same weight on disk."""
        grow = self.side / BASE_SIDE
        return tuple(
            Bucket(width=round(b.width * grow), height=round(b.height * grow), count=round(b.count / grow**2)) for b in BUCKETS
        )

    def smaller(self) -> Options | None:
        """The side that this one grows from."""
        return None if self.side == BASE_SIDE else replace(self, side=self.side // 2)

    def schedule(self, base: Schedule) -> Schedule:
        return base if self.side == BASE_SIDE else replace(base, learning_rate=base.learning_rate * GROWN_RATE)


def draw(options: Options) -> None:
    """Draw the training pictures."""
    for bucket in options.buckets:
        draw_bucket(options.pictures, bucket, SEED, options.threads)


def train_autoencoder(options: Options) -> None:
    """Train encoder and decoder together."""
    smaller = options.smaller()
    vae = new_autoencoder(options) if smaller is None else standardised_autoencoder(smaller).to(options.device)
    pictures = [open_bucket(options.pictures, bucket) for bucket in options.buckets]
    task = AutoencoderTask(vae, pictures, batch_size=4, seed=SEED)
    Training(task, options.schedule(AUTOENCODER), options.folder, "autoencoder").run(threads=options.threads)


def new_autoencoder(options: Options) -> AutoencoderKL:
    return build_autoencoder(AutoencoderShape(sample_size=options.side), SEED).to(options.device)


def encode(options: Options) -> None:
    """Fix the encoder at its average, standardise its latents and encode the pictures."""
    vae = new_autoencoder(options)
    fixed = options.folder / "standardised.pt"
    state = load_state(fixed)
    if state is None:
        vae.load_state_dict(averaged_weights(options.folder / "autoencoder.pt"))
        standardise(vae, open_bucket(options.pictures, options.buckets[0]))
        save_state(fixed, vae.state_dict())
    else:
        vae.load_state_dict(state)
    for bucket in options.buckets:
        count = int(bucket.count * ENCODED_SHARE)
        encode_bucket(options.folder, bucket, vae, open_bucket(options.pictures, bucket)[:count])


def standardised_autoencoder(options: Options) -> AutoencoderKL:
    """The VAE with the fixed encoder, and the best decoder so far."""
    vae = build_autoencoder(AutoencoderShape(sample_size=options.side), SEED)
    decoder = options.folder / "decoder.pt"
    fixed = load_state(options.folder / "standardised.pt")
    if fixed is None:
        raise SystemExit("Run the stage `latents` first.")
    vae.load_state_dict(averaged_weights(decoder) if decoder.exists() else fixed)
    vae.register_to_config(scaling_factor=1.0)
    return vae


def train_decoder(options: Options) -> None:
    """Train the decoder alone, on the fixed latents."""
    vae = new_autoencoder(options)
    vae.load_state_dict(load_state(options.folder / "standardised.pt") or {})
    pictures = [open_bucket(options.pictures, bucket) for bucket in options.buckets]
    pairs = list(zip(pictures, open_latents(options.folder, options.buckets), strict=True))
    task = DecoderTask(vae, pairs, batch_size=4, seed=SEED + 1)
    Training(task, options.schedule(DECODER), options.folder, "decoder").run(threads=options.threads)


def train_denoiser(options: Options) -> None:
    """Train UNet and text encoders."""
    tokenizer = build_tokenizer(options.state / "tokenizer")
    denoiser = Denoiser(DenoiserShape(sample_size=options.side // 8), tokenizer, SEED)
    smaller = options.smaller()
    if smaller is not None:
        denoiser.load_state_dict(averaged_weights(smaller.folder / "denoiser.pt"))
    latents = open_latents(options.folder, options.buckets)
    examples = Examples(buckets=options.buckets, latents=latents, portrait=partial(portrait_at, SEED))
    task = DenoiserTask(denoiser.to(options.device), tokenizer, examples, batch_size=16, seed=SEED + 2)
    Training(task, options.schedule(DENOISER), options.folder, "denoiser").run(threads=options.threads)


def export(options: Options) -> None:
    """Write the averaged weights as a float16 StableDiffusionXLPipeline into --out."""
    tokenizer = build_tokenizer(options.state / "tokenizer")
    denoiser = Denoiser(DenoiserShape(sample_size=options.side // 8), tokenizer, SEED)
    denoiser.load_state_dict(averaged_weights(options.folder / "denoiser.pt"))
    export_pipeline(options.out, denoiser, tokenizer, standardised_autoencoder(options))


def sheet(options: Options) -> None:
    """Draw the exported checkpoint's contact sheet, a PNG beside --out."""
    sample_sheet(options.out).save(options.out.with_suffix(".png"))


def curves(options: Options) -> None:
    """Draw the loss logs as a picture into --out."""
    options.out.mkdir(parents=True, exist_ok=True)
    names = ("autoencoder", "decoder", "denoiser")
    draw_curves({name: options.folder / f"{name}.csv" for name in names}).save(options.out / "loss.png")


STAGES: Mapping[str, Callable[[Options], None]] = MappingProxyType(
    {
        "draw": draw,
        "autoencoder": train_autoencoder,
        "latents": encode,
        "decoder": train_decoder,
        "denoiser": train_denoiser,
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
    parser.add_argument("--side", type=int, choices=(128, 256), default=BASE_SIDE, help="longer side in pixels (default: 128)")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    options = {name: value for name, value in vars(arguments).items() if name != "stage"}
    STAGES[arguments.stage](Options(**options))


if __name__ == "__main__":
    main()
