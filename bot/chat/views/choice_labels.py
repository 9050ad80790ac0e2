"""Labels of sizes and qualities where members choose them."""

from __future__ import annotations

from typing import Final

from bot.chat.translation import rendered
from bot.domain.profile import ImageSize, ModelProfile, QualityName
from bot.messages import Message, counted, message, translatable

_SIZES: Final = {
    "square": translatable("Square"),
    "portrait": translatable("Portrait"),
    "landscape": translatable("Landscape"),
    "tall": translatable("Tall"),
    "wide": translatable("Wide"),
    "extra tall": translatable("Extra tall"),
    "extra wide": translatable("Extra wide"),
}


def size_name(size: ImageSize) -> Message | str:
    """Returns the size's name as a separate word; one that only the operator's model has is unchanged."""
    known = _SIZES.get(size.name.casefold())
    return message(known) if known else size.name.capitalize()


def size_text(size: ImageSize) -> Message:
    """Returns the size's name with its pixels."""
    return message("{name} · {width} × {height}", name=size_name(size), width=size.width, height=size.height)


def size_label(size: ImageSize) -> str:
    """Returns the name and pixels in the language of the task."""
    return rendered(size_text(size))


def quality_text(name: QualityName, profile: ModelProfile) -> Message:
    """Returns what the quality costs in steps and time."""
    quality = profile.quality.get(name)
    steps = profile.num_inference_steps if quality is None else quality.num_inference_steps or profile.num_inference_steps
    if name == "draft":
        return counted("Draft · {count} step, quick", "Draft · {count} steps, quick", steps)
    if name == "best":
        return counted("Best · {count} step, slow", "Best · {count} steps, slow", steps)
    return counted("Standard · {count} step", "Standard · {count} steps", steps)


def quality_name(name: QualityName) -> Message:
    """Returns the quality as a fact of a picture."""
    return {"draft": message("draft quality"), "standard": message("standard quality"), "best": message("best quality")}[name]
