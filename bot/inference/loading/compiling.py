"""Compiles UNet and VAE with torch.compile, if the operator wants it."""

# torch is partly unannotated.
# pyright: reportPrivateUsage=false

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

GRAPHS = 128  # one for each number of rows and each size; dynamo's own limit of 8 would leave the rest uncompiled
# Rows of a call that code is compiled for: 1, and each number of pictures with guidance to 8, beyond that every other. With
# powers of two, 5 pictures would pay for 8 and take longer together than one after another.
COMPILED_ROWS = (1, 2, 4, 6, 8, 10, 12, 14, 16, 20, 24, 28, 32)
CACHE_VARIABLE = "TORCHINDUCTOR_CACHE_DIR"

logger = logging.getLogger(__name__)


def keep_compiled_code(folder: Path) -> None:
    """Make inductor keep compiled code in `folder`, so that only the first start is slow. The environment's value wins."""
    os.environ.setdefault(CACHE_VARIABLE, str(folder.resolve()))  # noqa: TID251  # told, not read: torch has no other way


def compile_model(pipeline: Any, probe: Callable[[], object], *, backend: str = "inductor") -> bool:
    """Compile UNet and decoder in place for shapes that never change within a graph; merged LoRAs change no graph.

    `probe` calls the UNet once. If that fails, for lack of a compiler say, both are restored, the log says why, and False is
    returned: a picture drawn slowly is better than none.
    """
    torch._dynamo.config.recompile_limit = GRAPHS
    options: dict[str, Any] = {"backend": backend, "dynamic": False}
    # CUDA graphs for the UNet alone: a step is two thousand launches. A decoding is three hundred, many times as long each, and
    # a graph would hold its gigabytes for every size.
    graphs = {"mode": "reduce-overhead"} if backend == "inductor" else {}
    parts = (pipeline.unet, pipeline.vae.decoder)
    for part, more in zip(parts, (graphs, {}), strict=True):
        part.compile(**options, **more)
    try:
        probe()
    except Exception as error:  # noqa: BLE001  # whatever a compiler meets
        logger.warning("torch.compile does not work here; drawing goes on without it: %s", _first_line(error))
        for part in parts:
            part._compiled_call_impl = None  # set by Module.compile
        return False
    return True


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
