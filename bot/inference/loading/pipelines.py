"""Builds drawing pipelines from a profile. Importing this module imports torch and diffusers; only the drawing thread does."""

from __future__ import annotations

import errno
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from diffusers import (  # diffusers exports lazily
    AutoencoderKL,  # pyright: ignore[reportPrivateImportUsage]
    StableDiffusionXLImg2ImgPipeline,  # pyright: ignore[reportPrivateImportUsage]
    StableDiffusionXLPipeline,  # pyright: ignore[reportPrivateImportUsage]
)

from bot.domain.memory_plan import MemoryPlan
from bot.domain.profile import ModelProfile, ModelSource
from bot.errors import ModelError
from bot.inference.faults import is_out_of_memory
from bot.inference.formats.checkpoints import scales_of
from bot.inference.formats.weights import WeightsError, check_folder, component_files, file_sha256, has_variant, read_header
from bot.inference.loading.checkpoint_scales import apply_scales
from bot.inference.loading.latent_preview import LatentPreview
from bot.inference.loading.model_files import SDXL_CONFIG_REPO, cached_folder, check_weights, model_error, not_downloaded
from bot.inference.loading.pins import CURE, check_pins
from bot.inference.loading.placing import put_in_place
from bot.inference.samplers.schedulers import build_scheduler, sampling_of_file

if TYPE_CHECKING:
    from bot.inference.denoising.graphs import GraphedUNet
    from bot.inference.images.watermark import Watermark

AUTO_V2_DIGITS = 10  # of the SHA-256: A1111's and Civitai's hash of a checkpoint

logger = logging.getLogger(__name__)

# As Any: diffusers' own annotations contradict what its classes accept (tuple[int] for tuples of any length).
TextToImage: Any = StableDiffusionXLPipeline
ImageToImage: Any = StableDiffusionXLImg2ImgPipeline
Vae: Any = AutoencoderKL


@dataclass(slots=True, kw_only=True)
class LoadedModel:
    """A loaded model. Both pipelines share their modules, but not the scheduler, which counts steps."""

    profile: ModelProfile
    text2img: Any
    img2img: Any
    preview: LatentPreview
    model_hash: str | None = None
    plan: MemoryPlan | None = None  # of the GPU's memory; None where it needs none
    watermark: Watermark | None = None  # added to every picture
    graphs: GraphedUNet | None = None  # replaces the UNet in the engine's calls

    @property
    def device(self) -> torch.device:
        return self.text2img.unet.device

    @property
    def unet(self) -> Any:
        """Returns what the engine calls: the UNet, or the graphs that replace it."""
        return self.text2img.unet if self.graphs is None else self.graphs

    @property
    def is_lowered(self) -> bool:
        """Returns whether UNet and VAE compute in bfloat16."""
        return self.text2img.unet.dtype == torch.bfloat16

    @property
    def default_area(self) -> int:
        """Returns the latent pixels of a picture in the profile's default size."""
        size, scale = self.profile.size(None), self.text2img.vae_scale_factor
        return (size.height // scale) * (size.width // scale)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """The place and the way in which weights are loaded."""

    device: torch.device
    dtype: torch.dtype
    cache_dir: Path | None
    plan: MemoryPlan | None


def load_model(
    profile: ModelProfile, *, device: str, cache_dir: Path | None = None, plan: MemoryPlan | None = None
) -> LoadedModel:
    """Read the weights, which are on this machine, and put them where `plan` says (None: all on the device). Takes seconds to
    minutes. Raises ModelError.
    """
    check_weights(profile, cache_dir, offline=True)
    chosen, dtype = choose_device(device)
    place = Place(device=chosen, dtype=dtype, cache_dir=cache_dir, plan=plan)
    try:
        return _load(profile, place)
    except ModelError:
        raise
    except Exception as error:
        raise _explained(profile, place, error) from error


def choose_device(name: str) -> tuple[torch.device, torch.dtype]:
    """Returns the device with its type: float16 on CUDA, else float32; "auto" takes the best there is. Raises ModelError."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise ModelError(
            f"DEVICE is {name!r}, but torch finds {torch.cuda.device_count()} CUDA GPUs. Set DEVICE to auto or cpu."
        )
    if device.type == "mps" and not torch.backends.mps.is_available():
        raise ModelError("DEVICE is 'mps', but torch finds no Apple GPU. Set DEVICE to auto or cpu.")
    return device, torch.float16 if device.type == "cuda" else torch.float32


def _load(profile: ModelProfile, place: Place) -> LoadedModel:
    vae = {"vae": _load_vae(profile, profile.vae, place)} if profile.vae is not None else {}
    source, model_hash, prediction = profile.source, None, None
    if source.file is not None:
        header = read_header(source.file)
        prediction = sampling_of_file(header)
        _check_pins(profile, source.file.parent, source)
        text2img = _load_single_file(source.file, source.config, place, vae)
        apply_scales(text2img, source.file, scales_of(header))
        model_hash = (source.sha256.get(source.file.name) or file_sha256(source.file))[:AUTO_V2_DIGITS]
    else:
        folder = source.folder or _cached(profile, source, place)
        _check_pins(profile, folder, source)
        text2img = _load_folder(profile, folder, place, vae)
    _refuse_gaps(profile, text2img)
    text2img.scheduler = build_scheduler(text2img.scheduler.config, profile, prediction)
    put_in_place(text2img, place.device, place.plan)
    _freeze(text2img)
    text2img.set_progress_bar_config(disable=True)
    return LoadedModel(
        profile=profile,
        text2img=text2img,
        img2img=_img2img_of(text2img),
        preview=LatentPreview.for_sdxl() if profile.family == "sdxl" else LatentPreview.fitted(text2img.vae),
        model_hash=model_hash,
        plan=place.plan,
    )


def _freeze(pipeline: Any) -> None:
    """Freeze the weights; nothing here trains. peft freezes what it adds a LoRA to, and torch 2.13 multiplies frozen weights in
    another order on some CPUs: pictures would differ in the last bit from those that diffusers draws with the same LoRA.
    """
    for part in (pipeline.unet, pipeline.vae, pipeline.text_encoder, pipeline.text_encoder_2):
        part.requires_grad_(requires_grad=False)


def _img2img_of(text2img: Any) -> Any:
    """Returns a pipeline of the same parts: `from_pipe` would cast them to float32 in place and share the scheduler."""
    parts = dict(text2img.components)
    parts["scheduler"] = parts["scheduler"].from_config(parts["scheduler"].config)
    img2img = ImageToImage(
        **parts,
        force_zeros_for_empty_prompt=text2img.config.force_zeros_for_empty_prompt,
        add_watermarker=False,
    )
    img2img.set_progress_bar_config(disable=True)
    return img2img


def _load_folder(profile: ModelProfile, folder: Path, place: Place, parts: Mapping[str, Any]) -> Any:
    variant = profile.variant if profile.variant and has_variant(folder, profile.variant) else None
    pipeline = TextToImage.from_pretrained(
        folder, variant=variant, dtype=place.dtype, use_safetensors=True, add_watermarker=False, local_files_only=True, **parts
    )
    _refuse_gaps_in_text(profile, pipeline, folder, variant)
    return pipeline


def _load_single_file(file: Path, config: Path | None, place: Place, parts: Mapping[str, Any]) -> Any:
    config = config or cached_folder(SDXL_CONFIG_REPO, None, place.cache_dir)
    return TextToImage.from_single_file(
        str(file),
        config=str(config) if config else None,
        dtype=place.dtype,
        cache_dir=place.cache_dir,
        local_files_only=True,
        add_watermarker=False,
        **parts,
    )


def _check_pins(profile: ModelProfile, folder: Path, source: ModelSource) -> None:
    """Raises ModelError for weights that are not those that the profile names."""
    try:
        check_pins(folder, source.sha256)
    except WeightsError as error:
        raise model_error(profile, str(source.repo or source.folder or source.file), error, CURE) from None


def _load_vae(profile: ModelProfile, source: ModelSource, place: Place) -> Any:
    if source.file is not None:
        _check_pins(profile, source.file.parent, source)
        config = {"config": str(source.config)} if source.config else {}
        return Vae.from_single_file(str(source.file), dtype=place.dtype, local_files_only=True, **config)
    folder = source.folder or cached_folder(str(source.repo), source.revision, place.cache_dir, "config.json")
    if folder is None:
        raise not_downloaded(profile, str(source.repo))
    _check_pins(profile, folder, source)
    return Vae.from_pretrained(folder, dtype=place.dtype, use_safetensors=True, local_files_only=True)


def _cached(profile: ModelProfile, source: ModelSource, place: Place) -> Path:
    """Returns the complete folder of a hub model. Raises WeightsError, ModelError."""
    repo = str(source.repo)
    cached = cached_folder(repo, source.revision, place.cache_dir)
    if cached is None:
        raise not_downloaded(profile, repo)
    check_folder(cached, profile.variant)
    return cached


def _refuse_gaps(profile: ModelProfile, pipeline: Any) -> None:
    """Raises ModelError if the files lack a tensor, which then stays on torch's meta device, without data."""
    for name in ("unet", "vae", "text_encoder", "text_encoder_2"):
        module = getattr(pipeline, name)
        gaps = [key for key, tensor in module.named_parameters() if tensor.is_meta]
        if gaps:
            raise model_error(profile, f"its {name}", f"lacks {len(gaps)} tensors, such as {gaps[0]}", "Download it again.")


def _refuse_gaps_in_text(profile: ModelProfile, pipeline: Any, folder: Path, variant: str | None) -> None:
    """Raises ModelError for gaps in a text encoder's file: transformers fills them with random numbers and only logs it.

    Its CLIPTextModel lost the prefix "text_model." in 5.6, so names are compared without it.
    """
    for name in ("text_encoder", "text_encoder_2"):
        files = component_files(folder / name, variant)
        stored = {key.removeprefix("text_model.") for file in files for key in read_header(file).shapes}
        wanted = (key for key, _ in getattr(pipeline, name).named_parameters())
        if gaps := [key for key in wanted if key.removeprefix("text_model.") not in stored]:
            raise model_error(profile, f"its {name}", f"lacks {len(gaps)} tensors, such as {gaps[0]}", "Download it again.")


def _explained(profile: ModelProfile, place: Place, error: Exception) -> ModelError:
    """Returns one line with a cure for any error that diffusers, the hub or the disk raised."""
    source = profile.source
    where = str(source.repo or source.folder or source.file)
    first = _first_line(error)
    if is_out_of_memory(error):
        return model_error(profile, "it", f"does not fit into the memory of {place.device}", "Set MODEL to a smaller one.")
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return model_error(profile, where, "does not fit on the disk", "Free some space, or set HF_HOME to a larger disk.")
    if isinstance(error, WeightsError):
        return model_error(profile, where, first)
    return model_error(profile, where, f"could not be loaded ({first})", "Is it an SDXL model? Download it again.")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")
