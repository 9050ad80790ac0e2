"""LoRA tags that a member types, as A1111 has them: `1girl <lora:pastel:0.8>` is the style pastel at 0.8.

A tag is the option `style` in another place: it names what is offered, by title, name or file, and nothing else; where an
option names the same style, the option's weight counts. What cannot be drawn with is refused in a sentence. Nothing of a tag
stays in the prompt, so the rules about words see what the model sees; and in a tag only numbers can stand beside the name.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from bot.domain.guild_settings.settings import GuildSettings
from bot.domain.infotext.lora_tags import FoundTag, plain_name, tags_in, taken_out
from bot.domain.preferences import NOTHING
from bot.domain.profile import Catalog, ModelProfile, Style
from bot.domain.request import Draft, StyleChoice, clean_prompt
from bot.errors import InvalidRequestError

MAX_NAMED = 3  # tags, or styles, in a sentence
NAME_LENGTH = 40

NOT_HERE = "The prompt names {tags}, with which I cannot draw here. Take that out, or choose another style: {styles}."
NO_NUMBER = "I do not understand the tag of {tags}. Write a name and how strongly it shows: `<lora:name:0.8>`."
IN_DEFAULT = "A style does nothing among what is left out. Take the tag of {tags} out."
LEFT_OUT = "A style does nothing among what is left out. Move {tags} to the prompt, or take the tag out."


def with_tagged_styles(draft: Draft, profile: ModelProfile, catalog: Catalog, settings: GuildSettings | None = None) -> Draft:
    """The draft with the tags of its prompt as styles beside those that it has. `settings` None: every style is offered.

    Raises InvalidRequestError for a tag of anything else, for one in the negative prompt, and for a prompt that is too long
    with its tags.
    """
    if not tags_in(draft.prompt) and not tags_in(draft.negative_prompt):
        return draft
    prompt, tags = taken_out(clean_prompt(draft.prompt, "prompt"))
    negative_prompt, misplaced = taken_out(clean_prompt(draft.negative_prompt, "negative prompt"))
    if misplaced:
        raise InvalidRequestError(LEFT_OUT.format(tags=_quoted(misplaced)))
    offered = [style for style in catalog.styles_for(profile) if settings is None or settings.offers(style.name)]
    choices = list(_choices(tags, offered))
    return _with(replace(draft, prompt=prompt, negative_prompt=negative_prompt), choices)


def check_left_out(words: str, before: str) -> None:
    """For a new default of what is left out, in the place of `before`. Raises InvalidRequestError for one with a tag."""
    if words != before and (tags := tags_in(words)):
        raise InvalidRequestError(IN_DEFAULT.format(tags=_quoted(tags)))


def _choices(tags: Sequence[FoundTag], offered: Sequence[Style]) -> Iterator[tuple[Style, float | None]]:
    ours = {plain_name(name): style for style in offered for name in style.known_as}
    if unknown := [tag for tag in tags if not tag.is_lora or plain_name(tag.name) not in ours]:
        styles = ", ".join(f"`{style.name}`" for style in offered[:20]) or "none for this model"
        raise InvalidRequestError(NOT_HERE.format(tags=_quoted(unknown), styles=styles))
    if odd := [tag for tag in tags if not tag.has_numbers_only]:
        raise InvalidRequestError(NO_NUMBER.format(tags=_quoted(odd)))
    return ((ours[plain_name(tag.name)], tag.weight) for tag in tags)


def _with(draft: Draft, choices: Sequence[tuple[Style, float | None]]) -> Draft:
    """Each style once: where it stands among the options, they say its weight, and of several tags the first does."""
    chosen = (draft.style or "", *(style.name for style in draft.more_styles))
    taken = {name.strip().casefold() for name in chosen}
    for style, weight in choices:
        if taken & {style.name.casefold(), style.title.casefold()}:
            continue
        taken.add(style.name.casefold())
        shown = style.adapter_weight if weight is None else weight
        if draft.style is None or draft.style.strip() in {"", NOTHING}:
            given = draft.adapter_weight
            draft = replace(draft, style=style.name, adapter_weight=shown if given is None else given)
        else:
            draft = replace(draft, more_styles=(*draft.more_styles, StyleChoice(name=style.name, weight=shown)))
    return draft


def _quoted(tags: Sequence[FoundTag]) -> str:
    """The names of tags as a sentence can hold them; nothing in a backticked name is Markdown or a mention."""
    names = dict.fromkeys(f"`{(tag.name or tag.text).replace('`', '')[:NAME_LENGTH].strip()}`" for tag in tags)
    more = len(names) - MAX_NAMED
    return ", ".join(list(names)[:MAX_NAMED]) + (f" and {more} more" if more > 0 else "")
