"""The arguments of `python -m bot train-lora`. Imports no torch, so that the command line stays quick."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from bot.settings import Settings
from bot.training.lora.options import DTYPES, TARGETS, LoraOptions


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments; each default is LoraOptions' own."""
    add = parser.add_argument
    add("--model", required=True, metavar="MODEL", help="a profile's name, a diffusers folder or a .safetensors checkpoint")
    add("--pictures", required=True, type=Path, metavar="FOLDER", help="PNG, JPEG or WebP, each with its caption in NAME.txt")
    add("--out", required=True, type=Path, metavar="FILE", help="the .safetensors file to write; checkpoints lie beside it")
    add("--style", metavar="NAME", help="also write DATA_DIR/styles/NAME.toml, so that members can choose it")
    add("--trigger", metavar="WORD", help="put in front of every caption")
    add("--rank", type=int, metavar="N", help="size of the LoRA (default: 16)")
    add("--alpha", type=float, metavar="X", help="kohya's network_alpha (default: the rank)")
    add("--steps", type=int, metavar="N", help="batches to train on (default: 1500)")
    add("--batch-size", type=int, metavar="N", help="pictures a step (default: 1)")
    add("--learning-rate", type=float, metavar="X", help="the highest; it warms up and falls along a cosine (default: 1e-4)")
    add("--resolution", type=int, metavar="N", help="train on about N x N pixels in any shape (default: the model's own)")
    add("--target", choices=TARGETS, help="attention: layers of the attention only, half of all (default: all)")
    add("--text-encoders", action="store_true", default=None, help="train them as well")
    add("--caption-dropout", type=float, metavar="SHARE", help="captions left out now and then (default: 0.1)")
    add("--shuffle-tags", action="store_true", default=None, help="another order of the tags at every step")
    add("--keep-tags", type=int, metavar="N", help="first tags that --shuffle-tags leaves in place (default: 1)")
    add("--seed", type=int, metavar="N", help="the same seed, pictures and machine give the same file (default: 0)")
    add("--device", metavar="NAME", help="auto, cpu, mps, cuda or cuda:N (default: the setting DEVICE)")
    add("--dtype", choices=DTYPES, help="what the frozen model computes in (default: auto)")
    add("--threads", type=int, metavar="N", help="CPU threads (default: torch's choice)")
    add("--log-every", type=int, metavar="N", help="steps from one line of the report to the next (default: 20)")
    add(
        "--gradient-checkpointing",
        action=argparse.BooleanOptionalAction,
        default=None,
        help="compute parts twice to save memory (default: on CUDA)",
    )


def run(arguments: argparse.Namespace) -> int:
    """Train; returns the exit code."""
    settings = Settings.load(need_token=False)
    given = {name: value for name, value in vars(arguments).items() if name != "command" and value is not None}
    chosen: dict[str, Any] = {"device": settings.device, "data_dir": settings.data_dir} | given
    options = LoraOptions(**chosen)
    from bot.inference.torch_import import import_libraries

    import_libraries()  # first, as the libraries talk while they are imported
    from bot.training.lora.train import train_lora

    train_lora(options)
    return 0
