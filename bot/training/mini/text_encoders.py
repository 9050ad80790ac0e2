"""Teaches the two text encoders to read before they guide a picture: to name a portrait's labels from its caption alone.

SDXL's encoders come trained on captions too. A UNet that must teach its encoders, through noise, that the "green" of "green
hair" belongs to the hair needs many times the pictures.
"""

# diffusers exports lazily and annotates tuples of any length as tuple[int]; torch and transformers are partly unannotated.
# pyright: reportPrivateImportUsage=false, reportArgumentType=false
from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional
from transformers import CLIPTokenizer

from bot.training.mini.artist.portrait import CHOICES, Portrait, random_portrait
from bot.training.mini.captions import caption
from bot.training.mini.networks import Denoiser
from bot.training.mini.tokens import END, MAX_LENGTH

FLAGS = ("glasses", "blush", "dark_skin")
WORDS = tuple(CHOICES)


def encode_text(module: Denoiser, tokenizer: CLIPTokenizer, texts: Sequence[str]) -> tuple[Tensor, Tensor]:
    """Returns embeddings as SDXL takes them: both penultimate layers side by side, and the second encoder's pooled vector."""
    ids = token_ids(tokenizer, texts, module.device)
    first: Any = module.text_encoder(ids, output_hidden_states=True)
    second: Any = module.text_encoder_2(ids, output_hidden_states=True)
    return torch.cat([first.hidden_states[-2], second.hidden_states[-2]], dim=-1), second.text_embeds


def token_ids(tokenizer: CLIPTokenizer, texts: Sequence[str], device: torch.device, *, padding: str = "max_length") -> Tensor:
    """Returns (texts, 77) token numbers, or as long as the longest text with `padding` "longest"."""
    ids: Tensor = tokenizer(list(texts), padding=padding, max_length=MAX_LENGTH, truncation=True, return_tensors="pt").input_ids
    return ids.to(device)


def label_numbers(portraits: Sequence[Portrait]) -> Tensor:
    """Returns (portraits, attributes): each label's place among its choices, flags as 0 or 1."""
    rows = [
        [*(CHOICES[name].index(getattr(portrait, name)) for name in WORDS), *(int(getattr(portrait, name)) for name in FLAGS)]
        for portrait in portraits
    ]
    return torch.tensor(rows)


class TextTask:
    """Cross-entropy of every label, read off each vector that the UNet will see: a caption's end in both encoders' penultimate
    layers, and the pooled vector. What a caption leaves out is predicted by how often it occurs."""

    def __init__(self, denoiser: Denoiser, tokenizer: CLIPTokenizer, *, batch_size: int, seed: int) -> None:
        width = denoiser.text_encoder.config.hidden_size
        counts = [*(len(CHOICES[name]) for name in WORDS), *(2 for _ in FLAGS)]
        heads = nn.ModuleList(nn.Linear(width, sum(counts)) for _ in range(3))
        parts = {"text_encoder": denoiser.text_encoder, "text_encoder_2": denoiser.text_encoder_2, "heads": heads}
        self._device = denoiser.device
        self._end: Any = tokenizer.convert_tokens_to_ids(END)
        self.module: nn.Module = nn.ModuleDict(parts).to(self._device)
        self.batch_size = batch_size
        self._heads = heads
        self._counts = counts
        self._denoiser = denoiser
        self._tokenizer = tokenizer
        self._seed = seed

    def loss(self, step: int) -> Tensor:
        rng = random.Random(f"{self._seed}/text/{step}")  # noqa: S311  # captions, not secrets
        portraits = [random_portrait(rng) for _ in range(self.batch_size)]
        truth = label_numbers(portraits).to(self._device)
        vectors = self._read([caption(portrait, rng) for portrait in portraits])
        losses = [
            functional.cross_entropy(logits, truth[:, i])
            for head, vector in zip(self._heads, vectors, strict=True)
            for i, logits in enumerate(head(vector.float()).split(self._counts, dim=1))
        ]
        return torch.stack(losses).mean()

    def _read(self, texts: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        ids = token_ids(self._tokenizer, texts, self._device, padding="longest")
        ends = torch.eq(ids, self._end).int().argmax(dim=1)
        rows = torch.arange(len(ids), device=ids.device)
        with torch.autocast(ids.device.type, dtype=torch.bfloat16):
            first: Any = self._denoiser.text_encoder(ids, output_hidden_states=True)
            second: Any = self._denoiser.text_encoder_2(ids, output_hidden_states=True)
            return first.hidden_states[-2][rows, ends], second.hidden_states[-2][rows, ends], second.text_embeds
