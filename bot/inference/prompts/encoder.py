"""Encodes prompts for the UNet: embeddings, weighted where the prompt says so, of any length up to three chunks."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import torch
from compel import EmbeddingsProvider, ReturnedEmbeddingsType

from bot.domain.infotext.prompt_fit import PromptFit
from bot.domain.prompt_weights import Part, parse, plain_text
from bot.inference.prompts.chunking import Chunker
from bot.inference.transfers import Sending

MAX_CACHED = 32  # texts; one takes 0.3 MB a chunk in float16
ONE_BY_ONE = 8  # fragments below 1 in a chunk that compel encodes one by one; more of them run side by side
SIDE_BY_SIDE = 38  # at once: as many as a chunk of `[x],` has; 38 x 77 tokens take 0.3 GB for a moment


@dataclass(frozen=True, slots=True, kw_only=True)
class Conditioning:
    """The output of diffusers' `encode_prompt` for one picture, both prompts with the same number of chunks n.

    `prompt_embeds` and `negative_prompt_embeds` are (1, 77 * n, C), `pooled` and `negative_pooled` (1, P). They may be shared:
    never change them in place. `tokens` counts the whole prompt, `dropped_tokens` the part that was left out.
    """

    prompt_embeds: torch.Tensor
    pooled: torch.Tensor
    negative_prompt_embeds: torch.Tensor
    negative_pooled: torch.Tensor
    dropped_tokens: int
    fit: PromptFit

    @property
    def tokens(self) -> int:
        return self.fit.tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class _Text:
    """One prompt, encoded."""

    embeds: torch.Tensor
    pooled: torch.Tensor
    tokens: int = 0
    dropped_tokens: int = 0
    dropped_words: int = 0


class PromptEncoder:
    """Encodes prompts with the text encoders of an SDXL pipeline. Belongs to the drawing thread.

    A prompt without weights that fits into one chunk gives diffusers' own embeddings bit for bit; compel does the rest.
    """

    def __init__(self, pipeline: Any) -> None:
        self._pipeline = pipeline
        self._chunker = Chunker((pipeline.tokenizer, pipeline.tokenizer_2))
        self._cache: OrderedDict[tuple[str, int, str], _Text] = OrderedDict()

    def encode(self, prompt: str, negative_prompt: str, *, clip_skip: int | None = None, variant: str = "") -> Conditioning:
        """Returns the embeddings. `variant` names the active LoRAs with their weights: each has cached embeddings of its own.

        As in diffusers, `clip_skip` counts from the last layer but one and leaves the negative prompt alone, and a model that
        was trained so gets zeros for an empty negative prompt.
        """
        skip = clip_skip or 0
        with torch.no_grad():
            shown = self._encoded(prompt, skip, variant)
            if not negative_prompt and self._pipeline.config.force_zeros_for_empty_prompt:
                left_out = _Text(embeds=torch.zeros_like(shown.embeds), pooled=torch.zeros_like(shown.pooled))
            else:
                left_out = self._encoded(negative_prompt, 0, variant)
            length = max(shown.embeds.shape[1], left_out.embeds.shape[1])
            return Conditioning(
                prompt_embeds=self._padded(shown.embeds, length, skip, variant),
                pooled=shown.pooled,
                negative_prompt_embeds=self._padded(left_out.embeds, length, 0, variant),
                negative_pooled=left_out.pooled,
                dropped_tokens=shown.dropped_tokens,
                fit=PromptFit(
                    tokens=shown.tokens,
                    dropped_words=shown.dropped_words,
                    dropped_negative_words=left_out.dropped_words,
                ),
            )

    def _padded(self, embeds: torch.Tensor, length: int, skip: int, variant: str) -> torch.Tensor:
        """Returns the embeddings, filled up with chunks of an empty prompt."""
        missing = length - embeds.shape[1]
        if not missing:
            return embeds
        empty = self._encoded("", skip, variant).embeds
        return torch.cat([embeds, empty.repeat(1, missing // empty.shape[1], 1)], dim=1)

    def _encoded(self, prompt: str, skip: int, variant: str) -> _Text:
        key = prompt, skip, variant
        if key not in self._cache:
            self._cache[key] = self._encode(prompt, skip)
            if len(self._cache) > MAX_CACHED:
                self._cache.popitem(last=False)
        self._cache.move_to_end(key)
        return self._cache[key]

    def _encode(self, prompt: str, skip: int) -> _Text:
        cut = self._chunker.cut(prompt)
        plain = (plain_text(parse(prompt)) if len(cut.chunks) == 1 else None) if cut.chunks else ""
        if plain is not None:
            device = self._pipeline.text_encoder.device  # which need not be the UNet's
            with Sending(device):
                embeds, _, pooled, _ = self._pipeline.encode_prompt(
                    plain, do_classifier_free_guidance=False, clip_skip=skip, device=device
                )
        else:
            embeds, pooled = self._weighted(cut.chunks, skip)
        return _Text(
            embeds=embeds,
            pooled=pooled,
            tokens=cut.tokens,
            dropped_tokens=cut.dropped_tokens,
            dropped_words=cut.dropped_words,
        )

    def _weighted(self, chunks: Sequence[Part], skip: int) -> tuple[torch.Tensor, torch.Tensor]:
        """Returns all chunks side by side, each encoded by itself, and the first chunk's pooled embedding, without weights."""
        pipeline = self._pipeline
        first = _Provider(pipeline.tokenizer, pipeline.text_encoder, skip)
        second = _Provider(pipeline.tokenizer_2, pipeline.text_encoder_2, skip)
        embeds = [torch.cat([first.embeddings(chunk), second.embeddings(chunk)], dim=-1) for chunk in chunks]
        opening = " ".join(fragment.text for fragment in chunks[0])
        pooled: Any = second.get_pooled_embeddings([opening])
        return torch.cat(embeds, dim=1).to(pipeline.text_encoder_2.dtype), pooled


class _Provider(EmbeddingsProvider):
    """compel's weighting of fragments, without its parser: a member's text is never read as compel's own syntax.

    It gives the hidden states that diffusers takes for `clip_skip`, which compel does not support.
    """

    def __init__(self, tokenizer: Any, text_encoder: Any, skip: int) -> None:
        kind = ReturnedEmbeddingsType.PENULTIMATE_HIDDEN_STATES_NON_NORMALIZED
        super().__init__(tokenizer, text_encoder, returned_embeddings_type=kind)
        self._layer = -(skip + 2)
        self._ahead: dict[tuple[int, ...], torch.Tensor] = {}  # by tokens and mask

    def embeddings(self, chunk: Part) -> torch.Tensor:
        """Returns (1, 77, C) in the text encoder's type."""
        texts, weights = [fragment.text for fragment in chunk], [fragment.weight for fragment in chunk]
        device: Any = self.device
        self._encode_ahead(texts, weights)
        embeds: Any = self.get_embeddings_for_weighted_prompt_fragments([texts], [weights], device=device)
        return embeds

    def _encode_ahead(self, texts: list[str], weights: list[float]) -> None:
        """Encode many texts side by side as rows of a few calls. compel encodes a chunk once more for each fragment that weighs
        less than 1, with that one masked, and waits for each: many of them take seconds.
        """
        self._ahead.clear()
        if sum(weight < 1 for weight in weights) <= ONE_BY_ONE:
            return
        device: Any = self.device
        found: Any = self.get_token_ids_and_expand_weights(texts, weights, device=device)
        tokens, _, mask = found
        masks: list[torch.Tensor] = []
        for (start, end), weight in zip(self._get_token_ranges_for_fragments([], texts), weights, strict=True):
            if weight < 1:
                masks.append(mask.clone())
                masks[-1][start : end + 1] = 0
        for rows in torch.stack(masks).split(SIDE_BY_SIDE):
            encoded = self._hidden_states(tokens.expand(len(rows), -1), rows)
            for row, states in zip(rows, encoded.split(1), strict=True):
                self._ahead[_key(tokens, row)] = states

    def _encode_token_ids_to_embeddings(
        self, token_ids: torch.Tensor, attention_mask: torch.Tensor | None = None
    ) -> torch.Tensor:
        if self._ahead and attention_mask is not None:
            ahead = self._ahead.get(_key(token_ids[0], attention_mask[0]))
            if ahead is not None:
                return ahead
        return self._hidden_states(token_ids, attention_mask)

    def _hidden_states(self, token_ids: torch.Tensor, attention_mask: torch.Tensor | None) -> torch.Tensor:
        output: Any = self.text_encoder(token_ids, attention_mask=attention_mask, output_hidden_states=True)
        return output.hidden_states[self._layer]

    def _get_token_ranges_for_fragments(
        self, chunked_and_padded_token_ids: list[int], fragments: list[str]
    ) -> list[tuple[int, int]]:
        """Returns the first and the last token of each fragment in a single chunk. compel's own version searches for the
        tokens, and its errors quote the words of the prompt.
        """
        del chunked_and_padded_token_ids
        lengths = (len(ids) for ids in self.get_token_ids(fragments, include_start_and_end_markers=False))
        return [(start, end - 1) for start, end in pairwise(accumulate(lengths, initial=1))]


def _key(tokens: torch.Tensor, mask: torch.Tensor) -> tuple[int, ...]:
    return (*tokens.tolist(), *mask.tolist())
