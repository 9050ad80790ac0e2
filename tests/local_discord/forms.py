"""What a member's own Discord does before it sends something: it fills in commands and modals."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tests.local_discord.components import LABEL, SELECTS, TEXT, TEXT_INPUT, Component
from tests.local_discord.messages import Attachment

SUBCOMMAND, STRING, INTEGER, BOOLEAN, NUMBER, ATTACHMENT = 1, 3, 4, 5, 10, 11
TYPES: dict[int, type | tuple[type, ...]] = {
    STRING: str, INTEGER: int, BOOLEAN: bool, NUMBER: (int, float), ATTACHMENT: Attachment,
}  # fmt: skip


def fill_command(
    command: Mapping[str, Any], given: Mapping[str, Any], *, sub: str | None = None, focused: str | None = None
) -> dict[str, Any]:
    """The data of a slash command, or of its subcommand `sub`. Refuses what Discord's own box would not let anybody send."""
    if sub is not None:
        subcommand = next(option for option in command["options"] if option["name"] == sub)
        inner = fill_command({**command, "options": subcommand.get("options", [])}, given, focused=focused)
        return {**inner, "options": [{"name": sub, "type": SUBCOMMAND, "options": inner["options"]}]}
    known = {option["name"]: option for option in command.get("options", [])}
    assert set(given) <= set(known), f"/{command['name']} has no option {set(given) - set(known)}"
    missing = {name for name, option in known.items() if option.get("required")} - set(given)
    assert focused or not missing, f"/{command['name']} needs {missing}"
    options: list[dict[str, Any]] = []
    uploads: dict[str, Any] = {}
    for name, value in given.items():
        if name != focused:
            _check_value(known[name], value)
        if isinstance(value, Attachment):
            uploads[str(value.id)] = value.to_json() | {"ephemeral": True}
        sent = str(value.id) if isinstance(value, Attachment) else value
        options.append(
            {"name": name, "type": known[name]["type"], "value": sent} | ({"focused": True} if name == focused else {})
        )
    data = {"id": command["id"], "name": command["name"], "type": command.get("type", 1), "options": options}
    return {**data, "resolved": {"attachments": uploads}} if uploads else data


def _check_value(option: Mapping[str, Any], value: Any) -> None:
    name = option["name"]
    assert isinstance(value, TYPES[option["type"]]), f"{name}={value!r} has the wrong type"
    if "choices" in option:
        assert value in [choice["value"] for choice in option["choices"]], f"{name}={value!r} is not a choice"
    if isinstance(value, str):
        assert option.get("min_length", 0) <= len(value) <= option.get("max_length", 6000), f"{name} has the wrong length"
    elif isinstance(value, int | float) and not isinstance(value, bool):
        low, high = option.get("min_value", float("-inf")), option.get("max_value", float("inf"))
        assert low <= value <= high, f"{name}={value} is outside {low} to {high}"


def fill_modal(modal: Component, given: Mapping[str, Any]) -> dict[str, Any]:
    """The data of a modal's submit: what the form was filled with, changed where `given` says so."""
    taken: set[str] = set()
    components = [_fill(component, given, taken) for component in modal["components"]]
    assert set(given) <= taken, f"the modal has no field {set(given) - taken}, only {taken}"
    return {"custom_id": modal["custom_id"], "components": components}


def _fill(component: Component, given: Mapping[str, Any], taken: set[str]) -> Component:
    numbered = {"type": component["type"], "id": component.get("id", 1)}
    if component["type"] == LABEL:
        return {**numbered, "component": _fill(component["component"], given, taken)}
    if component["type"] == TEXT:
        return numbered
    if "components" in component:
        return {**numbered, "components": [_fill(child, given, taken) for child in component["components"]]}
    name = component["custom_id"]
    taken.add(name)
    if component["type"] == TEXT_INPUT:
        value = given.get(name, component.get("value") or "")
        least, most = component.get("min_length") or 0, component.get("max_length") or 4000
        assert least <= len(value) <= most, f"{name} has the wrong length"
        return {**numbered, "custom_id": name, "value": value}
    if component["type"] in SELECTS:
        chosen = [option["value"] for option in component.get("options", []) if option.get("default")]
        return {**numbered, "custom_id": name, "values": given.get(name, chosen)}
    raise AssertionError(f"the local Discord cannot fill a component of type {component['type']}")
