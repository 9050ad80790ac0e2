"""The plan of an SDXL's GPU memory, part by part. Does not import torch: the plan is made before anything is loaded.

Computed, and a test computes it again from the shapes: weights, a picture's share of a call, decoding (`bench` has the
counting). Measured elsewhere: a pipeline in 16 bit with its decoder took 8.96 GB at most on an A100 (PyTorch's "Accelerating
Generative AI, part 3"), 0.41 GB above what is computed, hence WORKSPACES. Estimated: CONTEXT, and what CUDA keeps of a graph
(GRAPH_BYTES). Nothing was measured on a card of 8, 12 or 16 GB; `bench --stages` prints the peaks there.
"""

from __future__ import annotations

from collections.abc import Iterator

from bot.domain.fairness import LORAS_AT_ONCE
from bot.domain.memory_plan import Form, MemoryPlan, Part, Phase, plan_memory
from bot.domain.profile import ModelProfile

MEBIBYTE, GIBIBYTE = 2**20, 2**30
UNET, TEXT, VAE = "UNet", "text encoders", "VAE"
LORAS, COPIES, CLASSIFIER = "LoRAs", "unchanged weights, for LoRA switches", "picture classifier"
STEP, DECODING, KEPT = "a step", "decoding", "pictures between their steps"
GRAPHS = "CUDA graphs"
CONTEXT, WORKSPACES = "CUDA itself", "workspaces and gaps"

ON_GPU, ON_CPU = "on the GPU", "in the computer's memory"
SIXTEEN_BIT, EIGHT_BIT = "16 bit", "8 bit"
MERGED, NONE = "merged into the weights", "none: in 8 bit most of a merged LoRA is lost"
WHOLE, TILES = "at once", "in tiles"
EAGER = "none"
MANY, FEW = "512 MiB", "128 MiB"
TILE_PIXELS = 512  # of a side; diffusers' own tile of SDXL is as large as the picture and saves nothing

LORA_BYTES = 226_000_000  # rank 32 on attention, feed-forward and text encoders in 16 bit
MEGAPIXEL = 1024 * 1024
STEP_BYTES = 331_300_000  # of a megapixel with guidance in a call
MOST_GRAPHS = 32  # at once: each number of rows in the default size has one, and the rest are of other sizes
GRAPH_BYTES = 28_000_000  # 2,100 kernels with their arguments, and 14 rows of inputs and outputs


def parts_of(profile: ModelProfile, *, graphs: bool = False) -> tuple[Part, ...] | None:
    """Returns the parts of a model of SDXL's size, in float16; None for others, which are small. A picture that came out empty
    is decoded again in float32 by a copy of the decoder, which needs room, unless the VAE works in float32 anyway.

    With `graphs`, calls of the UNet also have memory of their own, which nothing else can use.
    """
    if profile.family != "sdxl":
        return None
    share = max(size.width * size.height for size in profile.sizes) / MEGAPIXEL
    return (
        Part(name=CONTEXT, forms=(Form("", 400_000_000),)),
        Part(name=WORKSPACES, forms=(Form("", 450_000_000),)),
        Part(name=UNET, forms=(Form(SIXTEEN_BIT, 5_135_000_000), Form(EIGHT_BIT, 2_569_000_000)), turn=6),
        Part(name=TEXT, forms=(Form(ON_GPU, 1_636_000_000), Form(ON_CPU)), turn=5),
        Part(name=VAE, forms=(Form("16 bit, and a decoder in 32 bit for second tries", 365_300_000),)),
        Part(name=LORAS, forms=(Form(MERGED, LORAS_AT_ONCE * LORA_BYTES), Form(NONE)), turn=6),
        Part(name=COPIES, forms=(Form(ON_GPU, 6_564_000_000), Form(ON_CPU)), turn=1, is_cheap=True),
        Part(name=KEPT, forms=(Form(MANY, 512 * MEBIBYTE), Form(FEW, 128 * MEBIBYTE)), turn=3, is_cheap=True),
        Part(name=STEP, forms=(Form("", 0, round(STEP_BYTES * share)),), phase=Phase.STEP),
        Part(
            name=DECODING,
            forms=(Form(WHOLE, round(3_222_000_000 * share)), Form(TILES, 860_000_000)),
            phase=Phase.DECODING,
            turn=4,
        ),
        *_classifier(profile),
        *(_graphs(share) if graphs else ()),
    )


def card_plan(profile: ModelProfile, memory: int | None, *, graphs: bool = False) -> MemoryPlan | None:
    """Returns how a card with `memory` bytes is used; None without a card, and for models that are small."""
    parts = parts_of(profile, graphs=graphs)
    return None if parts is None or memory is None else plan_memory(memory, parts)


def plan_lines(plan: MemoryPlan) -> Iterator[str]:
    """Yields a line a part, then the sum with as many pictures in a call as there is room for."""
    for name, form in plan.forms.items():
        size = form.size + plan.cap * form.a_picture
        note = f"{plan.cap} pictures" if form.a_picture else form.name
        yield f"{size / GIBIBYTE:6.2f} GiB  {name}{f' ({note})' if note else ''}"
    yield f"{plan.in_use / GIBIBYTE:6.2f} GiB  at most, of {plan.memory / GIBIBYTE:.2f}; {STEP} and {DECODING} take turns"


def _classifier(profile: ModelProfile) -> tuple[Part, ...]:
    """Returns a ViT-base in float32, which the shipped profiles have; an operator may choose a larger one."""
    if profile.classifier is None:
        return ()
    forms = (Form(ON_GPU, 360_000_000), Form(ON_CPU))
    return (Part(name=CLASSIFIER, forms=forms, turn=2, is_cheap=True),)


def _graphs(share: float) -> tuple[Part, ...]:
    """Returns the graphs' one pool, which is as large as the largest call; it is the first to be given up."""
    forms = (Form("one pool", MOST_GRAPHS * GRAPH_BYTES, round(STEP_BYTES * share)), Form(EAGER))
    return (Part(name=GRAPHS, forms=forms, turn=0, is_cheap=True),)
