"""Finds the picture classifier's files and checks whether they can be used. Contacts nobody; no torch."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from bot.domain.downloads import Download
from bot.domain.profile import ClassifierProfile
from bot.errors import ModelError
from bot.inference.formats.loras import adapter_kind
from bot.inference.formats.weights import WeightsError, read_header, read_json
from bot.inference.loading.model_files import cached_folder, is_offline

WEIGHTS, INDEX, SHARDS = "model.safetensors", "model.safetensors.index.json", "model-*.safetensors"
CONFIG, PREPROCESSING = "config.json", "preprocessor_config.json"
ONE_LABEL_A_PICTURE = (None, "single_label_classification")  # the shares of others do not sum up to 1


def check_classifier(classifier: ClassifierProfile, cache_dir: Path | None = None, *, offline: bool = False) -> bool:
    """Check in a second, without the network, whether the classifier can load. Raises ModelError, one line, if it cannot.

    Returns False if files are missing and the start will fetch them. `cache_dir` None is the hub's own cache.
    """
    folder = local_folder(classifier, cache_dir)
    if folder is None:
        if is_offline(offline=offline):
            raise _not_downloaded(classifier)
        return False
    try:
        check_folder(folder, classifier)
    except WeightsError as error:
        if classifier.source.repo is not None and not is_offline(offline=offline):
            return False
        raise classifier_error(classifier, error) from None
    return True


def find_folder(classifier: ClassifierProfile, cache_dir: Path | None = None) -> Path:
    """Returns the checked folder. Raises ModelError if it is not on this machine."""
    folder = local_folder(classifier, cache_dir)
    if folder is None:
        raise _not_downloaded(classifier)
    try:
        check_folder(folder, classifier)
    except WeightsError as error:
        raise classifier_error(classifier, error) from None
    return folder


def lacking(classifier: ClassifierProfile, cache_dir: Path | None = None, *, offline: bool = False) -> tuple[Download, ...]:
    """Returns what must be fetched from the hub before it can load. Raises ModelError where no download would help."""
    source = classifier.source
    if source.repo is None or is_offline(offline=offline) or check_classifier(classifier, cache_dir):
        return ()
    wanted = (CONFIG, PREPROCESSING, WEIGHTS, INDEX, SHARDS)
    return (Download(title=source.repo, repo=source.repo, revision=source.revision, patterns=wanted),)


def local_folder(classifier: ClassifierProfile, cache_dir: Path | None) -> Path | None:
    """Returns the profile's folder, or the repo's in the cache if it is there."""
    source = classifier.source
    if source.repo is None:
        return source.folder
    return cached_folder(source.repo, source.revision, cache_dir, CONFIG)


def check_folder(folder: Path, classifier: ClassifierProfile) -> None:
    """Raises WeightsError unless the folder is complete, has no code of its own, and labels as the profile rates."""
    if not folder.is_dir():
        raise WeightsError("does not exist")
    config = read_json(folder / CONFIG)
    for settings in (config, read_json(folder / PREPROCESSING)):
        if "auto_map" in settings:
            raise WeightsError("wants code of its own; Pastel runs no code from model folders")
    if config.get("problem_type") not in ONE_LABEL_A_PICTURE:
        raise WeightsError("gives a picture several labels or a number; only classifiers that choose one label can be used")
    names: Any = config.get("id2label")
    labels = {str(name) for name in names.values()} if isinstance(names, dict) else set[str]()  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] # JSON
    if labels != set(classifier.scale.labels):
        raise WeightsError(f"has the labels {_listed(labels)}, but `ratings` rates {_listed(classifier.scale.labels)}")
    shapes: list[tuple[int, ...]] = []
    for file in _weights_files(folder):
        try:
            header = read_header(folder / file)
            if kind := adapter_kind(header):
                raise WeightsError(f"is a LoRA or the like ({kind}), not a classifier")
        except WeightsError as error:
            raise WeightsError(f"has a bad file: {file} {error}") from None
        shapes += header.shapes.values()
    if not any(len(shape) == 2 and shape[0] == len(labels) for shape in shapes):
        raise WeightsError(f"has no layer that chooses among its {len(labels)} labels; download it again")


def classifier_error(classifier: ClassifierProfile, fault: object, cure: str = "") -> ModelError:
    """Returns the one-line error that an operator sees."""
    source = classifier.source
    cure = cure or "Mend `[classifier]` in the model's profile, or set MODEL to another one."
    return ModelError(f"The picture classifier {source.repo or source.folder} cannot be used: it {fault}. {cure}")


def _not_downloaded(classifier: ClassifierProfile) -> ModelError:
    cure = "Start once with a network and without HF_HUB_OFFLINE, or set MODEL to another profile."
    return classifier_error(classifier, "is not on this machine and cannot be downloaded offline", cure)


def _weights_files(folder: Path) -> list[str]:
    """Returns the names of the weights files. Raises WeightsError when there are none, or only pickles."""
    if (folder / WEIGHTS).exists():
        return [WEIGHTS]
    if not (folder / INDEX).exists():
        raise WeightsError(f"has no {WEIGHTS}; Pastel reads no other format")
    places: Any = read_json(folder / INDEX).get("weight_map")
    if not isinstance(places, dict) or not places:
        raise WeightsError(f"has a damaged {INDEX}; download it again")
    return sorted({Path(str(name)).name for name in places.values()})  # pyright: ignore[reportUnknownArgumentType, reportUnknownVariableType] # JSON


def _listed(labels: Iterable[str]) -> str:
    return ", ".join(sorted(labels)) or "none"
