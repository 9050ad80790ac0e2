"""Schemas of weights' sources and licences in profiles and styles, and their conversion to domain values."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator

from bot.domain.profile import PICKLE_ENDINGS, ClassifierProfile, Licence, ModelSource
from bot.domain.rating_scale import RatingScale
from bot.domain.safety import Rating

RatingName = Literal["general", "sensitive", "questionable", "explicit"]
Resolve = Callable[[str], Path]


def _safetensors(value: str) -> str:
    if Path(value).suffix.lower() in PICKLE_ENDINGS:
        raise ValueError("is a pickle file, which can run code when it is opened; use a .safetensors file")
    if Path(value).suffix.lower() != ".safetensors":
        raise ValueError("must end in .safetensors")
    return value


def _sha256(value: str) -> str:
    """Returns the checksum in lower case; pages of models write either."""
    if not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise ValueError("must be 64 hexadecimal digits")
    return value.lower()


def _kind_of_pins(value: object) -> str:
    return "file" if isinstance(value, str) else "folder"


Text = Annotated[str, Field(min_length=1)]
Repo = Annotated[str, Field(pattern=r"^[\w.-]+/[\w.-]+$")]
WeightsFile = Annotated[str, AfterValidator(_safetensors)]
Sha256 = Annotated[str, AfterValidator(_sha256)]
Pins = dict[WeightsFile, Sha256]


class Toml(BaseModel):
    """Base of all tables. Strict: no unknown keys, no conversion (a number in quotes is a mistake)."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class SourceToml(Toml):
    """A source: one of `repo`, `folder` and `file`; `sha256` is a table by file for the first two, a text for `file`."""

    repo: Repo | None = None
    revision: Text | None = None
    folder: Text | None = None
    file: WeightsFile | None = None
    config: Text | None = None
    sha256: Annotated[Annotated[Sha256, Tag("file")] | Annotated[Pins, Tag("folder")], Discriminator(_kind_of_pins)] | None = (
        None
    )

    @model_validator(mode="after")
    def _one_place(self) -> Self:
        given = [name for name in ("repo", "folder", "file") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"needs exactly one of repo, folder and file; it has {' and '.join(given) or 'none'}")
        if self.config is not None and self.file is None:
            raise ValueError("config belongs to file only; a repo or folder has its own")
        if self.revision is not None and self.repo is None:
            raise ValueError("revision belongs to repo only")
        if self.sha256 is not None and isinstance(self.sha256, str) != (self.file is not None):
            raise ValueError("sha256 is a text for a file, and a table by file for a repo or folder")
        return self

    def source(self, resolve: Resolve) -> ModelSource:
        return ModelSource(
            repo=self.repo,
            revision=self.revision,
            folder=resolve(self.folder) if self.folder else None,
            file=resolve(self.file) if self.file else None,
            config=resolve(self.config) if self.config else None,
            sha256=self._pins(),
        )

    def _pins(self) -> Mapping[str, str]:
        if isinstance(self.sha256, str):
            return {Path(self.file or "").name: self.sha256}
        return self.sha256 or {}


class LicenceToml(Toml):
    """The licence's name and a link to its text or to the model's page."""

    name: Text
    url: Annotated[str, Field(pattern=r"^(https://\S+)?$")] = ""
    offer_source: bool = False

    def licence(self) -> Licence:
        return Licence(name=self.name, url=self.url, offer_source=self.offer_source)


class ClassifierToml(Toml):
    """A repo or folder in transformers layout, the rating of each label, and the share from which a rating counts."""

    repo: Repo | None = None
    revision: Text | None = None
    folder: Text | None = None
    sha256: Pins = {}
    licence: LicenceToml
    ratings: Annotated[dict[Text, RatingName], Field(min_length=2)]
    thresholds: dict[Literal["sensitive", "questionable", "explicit"], float] = {}

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if (self.repo is None) == (self.folder is None):
            raise ValueError("needs either repo or folder")
        if self.revision is not None and self.repo is None:
            raise ValueError("revision belongs to repo only")
        self.scale()
        return self

    def scale(self) -> RatingScale:
        """Returns the scale of ratings. Raises ValueError."""
        return RatingScale(
            labels={label: Rating(rating) for label, rating in self.ratings.items()},
            thresholds={Rating(rating): threshold for rating, threshold in self.thresholds.items()},
        )

    def classifier(self, resolve: Resolve) -> ClassifierProfile:
        folder = resolve(self.folder) if self.folder else None
        source = ModelSource(repo=self.repo, revision=self.revision, folder=folder, sha256=self.sha256)
        return ClassifierProfile(source=source, scale=self.scale(), licence=self.licence.licence())
