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
from bot.domain.profile import Catalog, ModelProfile, Style, titles
from bot.domain.request import LEFT_OUT_TOO_LONG, Draft, StyleChoice, clean_prompt
from bot.errors import InvalidRequestError
from bot.messages import Message, listed, translatable

MAX_NAMED = 3  # tags in a sentence
NAME_LENGTH = 40

NOT_HERE = translatable("I can't draw with {tags} here. Take it out of your prompt, or use one of my styles: {styles}.")
NO_STYLES_HERE = translatable("I can't draw with {tags} here, and this model has no styles. Take it out of your prompt.")
NO_NUMBER = translatable("I don't understand the tag for {tags}. Write a name and how strong it is, like `<lora:name:0.8>`.")
IN_DEFAULT = translatable("A style does nothing in what to leave out. Take the tag for {tags} out.")
LEFT_OUT = translatable("A style does nothing in what to leave out. Move {tags} to your prompt, or take the tag out.")


def with_tagged_styles(draft: Draft, profile: ModelProfile, catalog: Catalog, settings: GuildSettings | None = None) -> Draft:
    """The draft with the tags of its prompt as styles beside those that it has. `settings` None: every style is offered.

    Raises InvalidRequestError for a tag of anything else, for one in the negative prompt, and for a prompt that is too long
    with its tags.
    """
    if not tags_in(draft.prompt) and not tags_in(draft.negative_prompt):
        return draft
    prompt, tags = taken_out(clean_prompt(draft.prompt))
    negative_prompt, misplaced = taken_out(clean_prompt(draft.negative_prompt, too_long=LEFT_OUT_TOO_LONG))
    if misplaced:
        raise InvalidRequestError(LEFT_OUT, tags=_quoted(misplaced))
    offered = [style for style in catalog.styles_for(profile) if settings is None or settings.offers(style.name)]
    choices = list(_choices(tags, offered))
    return _with(replace(draft, prompt=prompt, negative_prompt=negative_prompt), choices)


def check_left_out(words: str, before: str) -> None:
    """For a new default of what is left out, in the place of `before`. Raises InvalidRequestError for one with a tag."""
    if words != before and (tags := tags_in(words)):
        raise InvalidRequestError(IN_DEFAULT, tags=_quoted(tags))


def _choices(tags: Sequence[FoundTag], offered: Sequence[Style]) -> Iterator[tuple[Style, float | None]]:
    ours = {plain_name(name): style for style in offered for name in style.known_as}
    if unknown := [tag for tag in tags if not tag.is_lora or plain_name(tag.name) not in ours]:
        if not offered:
            raise InvalidRequestError(NO_STYLES_HERE, tags=_quoted(unknown))
        raise InvalidRequestError(NOT_HERE, tags=_quoted(unknown), styles=titles(offered))
    if odd := [tag for tag in tags if not tag.has_numbers_only]:
        raise InvalidRequestError(NO_NUMBER, tags=_quoted(odd))
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


def _quoted(tags: Sequence[FoundTag]) -> str | Message:
    """The names of tags as a sentence can hold them; nothing in a backticked name is Markdown or a mention."""
    names = dict.fromkeys(f"`{(tag.name or tag.text).replace('`', '')[:NAME_LENGTH].strip()}`" for tag in tags)
    return listed(names, MAX_NAMED)
