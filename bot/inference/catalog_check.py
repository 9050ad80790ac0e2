"""Finds faults of all models, classifiers and styles in the catalogue by their headers, in seconds whatever the files weigh."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from bot.domain.profile import Catalog, ModelProfile, Style
from bot.errors import ModelError
from bot.inference.classifier.files import check_classifier, local_folder
from bot.inference.formats.lora_keys import LoraFormatError
from bot.inference.formats.loras import check_format, plan_adapter
from bot.inference.formats.model_layers import Layers, layers_of_checkpoint, layers_of_folder
from bot.inference.formats.weights import Header, WeightsError, read_header
from bot.inference.loading.model_files import cached_folder, check_weights, is_offline, style_file


@dataclass(frozen=True, slots=True, kw_only=True)
class CatalogFault:
    """A reason why something cannot be used: `what` is the model, classifier or style, `sentence` says why."""

    what: str
    sentence: str


def style_faults(catalog: Catalog, chosen: ModelProfile, cache_dir: Path | None = None) -> list[CatalogFault]:
    """Returns all styles' faults. One missing from the cache is a fault only if `chosen` wants it and the hub is off."""
    models = {name: layers for name, profile in catalog.profiles.items() if (layers := _layers(profile, cache_dir)) is not None}
    faults: list[CatalogFault] = []
    for style in catalog.styles.values():
        file = style_file(style, cache_dir)
        if file is not None:
            sentences = _faults_of_file(style, file, catalog, models)
        elif chosen.family in style.families and is_offline(offline=False):
            sentences = iter((f"{style.repo} is not on this machine and cannot be downloaded offline",))
        else:
            continue
        faults += [CatalogFault(what=f"style {style.name}", sentence=sentence) for sentence in sentences]
    return faults


def model_faults(profiles: Iterable[ModelProfile], cache_dir: Path | None = None) -> list[CatalogFault]:
    """Returns the faults of these models and their classifiers, as far as their files are on this machine."""
    return [
        CatalogFault(what=f"model {profile.name}", sentence=line) for profile in profiles for line in _lines(profile, cache_dir)
    ]


def _lines(profile: ModelProfile, cache_dir: Path | None) -> Iterator[str]:
    source, classifier = profile.source, profile.classifier
    try:
        if source.repo is None or cached_folder(source.repo, source.revision, cache_dir) is not None:
            check_weights(profile, cache_dir)
    except ModelError as error:
        yield from error.lines
    try:
        if classifier is not None and local_folder(classifier, cache_dir) is not None:
            check_classifier(classifier, cache_dir)
    except ModelError as error:
        yield from error.lines


def _layers(profile: ModelProfile, cache_dir: Path | None) -> Layers | None:
    """Returns the model's layers; None for a model that is not here, or not sound."""
    source = profile.source
    folder = source.folder if source.repo is None else cached_folder(source.repo, source.revision, cache_dir)
    try:
        if source.file is not None:
            check_weights(profile, cache_dir)
            return layers_of_checkpoint(read_header(source.file))
        if folder is not None:
            check_weights(profile, cache_dir)
            return layers_of_folder(folder, profile.variant)
    except (ModelError, WeightsError):
        pass
    return None


def _faults_of_file(style: Style, file: Path, catalog: Catalog, models: Mapping[str, Layers]) -> Iterator[str]:
    """Yields one sentence if a fault applies to every model, else one for each reason, with the models that it applies to."""
    try:
        header = read_header(file)
        check_format(header)
    except (WeightsError, LoraFormatError) as error:
        yield f"{file} {error}. No member can use it; mend the file or take the style away."
        return
    misfits: dict[str, list[str]] = {}
    for name, profile in catalog.profiles.items():
        if profile.family in style.families and name in models and (reason := _misfit(header, models[name])):
            misfits.setdefault(reason, []).append(name)
    yield from (f"{file} {reason} ({', '.join(names)})" for reason, names in misfits.items())


def _misfit(header: Header, layers: Layers) -> str | None:
    try:
        plan = plan_adapter(header, layers)
    except LoraFormatError as error:
        return str(error)
    if not plan.strangers:
        return None
    count = len(plan.strangers)
    return f"fits in part: of its {count + len(plan.parts)} layers {count} are not in the model, such as {plan.strangers[0]}"
