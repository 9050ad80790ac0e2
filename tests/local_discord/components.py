"""Checks a message's components as Discord does, and resolves their files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tests.local_discord.refusals import invalid_form

ACTION_ROW, BUTTON, STRING_SELECT, TEXT_INPUT = 1, 2, 3, 4
SECTION, TEXT, THUMBNAIL, GALLERY, FILE, SEPARATOR = 9, 10, 11, 12, 13, 14
CONTAINER, LABEL = 17, 18
SELECTS = {3, 5, 6, 7, 8}
LINK_STYLE = 5
TOP_LEVEL = {ACTION_ROW, SECTION, TEXT, GALLERY, FILE, SEPARATOR, CONTAINER}

Component = dict[str, Any]


def walk(components: list[Component]) -> Iterator[Component]:
    """Every component, nested ones too, in reading order."""
    for component in components:
        yield component
        yield from walk(component.get("components", []))
        for name in ("accessory", "component"):
            if name in component:
                yield from walk([component[name]])


def buttons(components: list[Component]) -> list[Component]:
    """The buttons and selects that carry a custom_id."""
    return [component for component in walk(components) if "custom_id" in component]


def texts(components: list[Component]) -> str:
    """All that can be read, a line a text display."""
    return "\n".join(component["content"] for component in walk(components) if component["type"] == TEXT)


def check_message(components: list[Component], *, v2: bool) -> None:
    """Raise the refusal that Discord would give."""
    every = list(walk(components))
    _require(len(every) <= 40, "more than 40 components")
    _check_ids(every)
    for component in components:
        _require(component["type"] in (TOP_LEVEL if v2 else {ACTION_ROW}), f"type {component['type']} on the top level")
    _require(v2 or len(components) <= 5, "more than 5 action rows")
    for component in every:
        _CHECKS.get(component["type"], _anything)(component)
    _require(sum(len(c["content"]) for c in every if c["type"] == TEXT) <= 4000, "more than 4000 characters of text")


def check_modal(modal: Component) -> None:
    _require(1 <= len(modal["title"]) <= 45, "modal title must be 1-45")
    _require(1 <= len(modal["custom_id"]) <= 100, "modal custom_id must be 1-100")
    _require(1 <= len(modal["components"]) <= 5, "a modal has 1-5 components")
    every = list(walk(modal["components"]))
    _check_ids(every)
    for component in every:
        if component["type"] == LABEL:
            _require(1 <= len(component["label"]) <= 45, "label must be 1-45")
            _require(len(component.get("description") or "") <= 100, "label description over 100")
        if component["type"] == TEXT_INPUT:
            _require(len(component.get("value") or "") <= (component.get("max_length") or 4000), "value over max_length")


def _check_ids(every: list[Component]) -> None:
    ids = [component["custom_id"] for component in every if "custom_id" in component]
    _require(len(ids) == len(set(ids)), f"custom_id twice: {ids}")
    _require(all(1 <= len(custom_id) <= 100 for custom_id in ids), "custom_id must be 1-100")


def _anything(component: Component) -> None:
    _require(component["type"] in TOP_LEVEL | SELECTS | {BUTTON, THUMBNAIL, LABEL, TEXT_INPUT}, f"type {component['type']}")


def _check_row(row: Component) -> None:
    kinds = [child["type"] for child in row["components"]]
    fits = all(kind == BUTTON for kind in kinds) and 1 <= len(kinds) <= 5
    _require(fits or (len(kinds) == 1 and kinds[0] in SELECTS), f"an action row of {kinds}")


def _check_button(button: Component) -> None:
    _require(bool(button.get("label") or button.get("emoji")), "a button needs a label or an emoji")
    _require(len(button.get("label") or "") <= 80, "button label over 80")
    _require(("url" in button) == (button["style"] == LINK_STYLE), "url belongs to link buttons, and only there")
    _require(("custom_id" in button) == (button["style"] < LINK_STYLE), "custom_id belongs to every other button")


def _check_gallery(gallery: Component) -> None:
    _require(1 <= len(gallery["items"]) <= 10, "a gallery has 1-10 items")
    _require(all(len(item.get("description") or "") <= 1024 for item in gallery["items"]), "alt text over 1024")


def _check_section(section: Component) -> None:
    _require("accessory" in section and 1 <= len(section["components"]) <= 3, "a section has 1-3 texts and an accessory")


def _check_text(text: Component) -> None:
    _require(1 <= len(text["content"]) <= 4000, "text display must be 1-4000")


def _check_select(select: Component) -> None:
    options = select.get("options", [])
    _require(1 <= len(options) <= 25, "a select has 1-25 options")
    _require(all(len(option["label"]) <= 100 and len(option["value"]) <= 100 for option in options), "option over 100")


_CHECKS = {
    ACTION_ROW: _check_row, BUTTON: _check_button, GALLERY: _check_gallery, SECTION: _check_section,
    TEXT: _check_text, STRING_SELECT: _check_select,
}  # fmt: skip


def _require(holds: bool, otherwise: str) -> None:
    if not holds:
        raise invalid_form(otherwise)


def resolve(components: list[Component], urls: Mapping[str, str], counter: Iterator[int]) -> list[Component]:
    """The components as Discord gives them back: numbered, and with real addresses for attachment://NAME."""
    return [_resolve_one(component, urls, counter) for component in components]


def _resolve_one(component: Component, urls: Mapping[str, str], counter: Iterator[int]) -> Component:
    out = {**component, "id": component.get("id") or next(counter)}
    if "components" in out:
        out["components"] = resolve(out["components"], urls, counter)
    if "accessory" in out:
        out["accessory"] = _resolve_one(out["accessory"], urls, counter)
    if "items" in out:
        out["items"] = [{**item, "media": _media(item["media"], urls)} for item in out["items"]]
    for name in ("media", "file"):
        if name in out:
            out[name] = _media(out[name], urls)
    return out


def _media(media: dict[str, Any], urls: Mapping[str, str]) -> dict[str, Any]:
    url = media["url"]
    if url.startswith("attachment://"):
        name = url.removeprefix("attachment://")
        _require(name in urls, f"no attachment is called {name}")
        url = urls[name]
    return {"url": url, "proxy_url": url, "width": 64, "height": 64, "content_type": "image/png", "loading_state": 2}
