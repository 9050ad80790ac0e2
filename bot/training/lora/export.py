"""Writes a trained LoRA as a file in kohya's format, with the notes that other programs read from it."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path

from safetensors.torch import save
from torch import Tensor

from bot.errors import FolderError
from bot.training.lora.dataset import split_tags
from bot.training.lora.model import TrainingModel
from bot.training.lora.options import LoraOptions
from bot.training.lora.task import SNR_LIMIT, Examples

LEGACY_HASH = slice(0x100000, 0x110000)  # the bytes that A1111's first kind of hash looked at


def write_lora(path: Path, tensors: Mapping[str, Tensor], notes: Mapping[str, str]) -> None:
    """Write to a second file and rename it, so that a file under this name is always whole. Raises FolderError."""
    plain = save(dict(tensors))
    hashes = {
        "sshs_model_hash": hashlib.sha256(plain[8 + int.from_bytes(plain[:8], "little") :]).hexdigest(),  # without the header
        "sshs_legacy_hash": hashlib.sha256(plain[LEGACY_HASH]).hexdigest()[:8],
    }
    partial = path.with_suffix(".partial")
    try:
        partial.write_bytes(save(dict(tensors), metadata={**notes, **hashes}))
        partial.replace(path)
    except OSError as error:
        raise FolderError(
            f"{path} cannot be written ({error.strerror}). Free some space, and give the command again."
        ) from None


def lora_notes(options: LoraOptions, model: TrainingModel, examples: Examples) -> dict[str, str]:
    """Returns kohya's `ss_` notes and Stability's ModelSpec (github.com/Stability-AI/ModelSpec); no dates: equal is equal."""
    config = model.pipeline.scheduler.config
    velocity = config.prediction_type == "v_prediction"
    resolution = options.resolution or model.resolution
    epoch = -(-options.steps // examples.batches.per_epoch)
    scaled = {"conv_dim": str(options.rank), "conv_alpha": str(options.network_alpha)} if options.target == "all" else {}
    notes: dict[str, object] = {
        "ss_base_model_version": "sdxl_base_v1-0" if model.is_sdxl else model.profile.name,
        "ss_sd_model_name": model.profile.title,
        "ss_v_parameterization": velocity,
        "ss_zero_terminal_snr": bool(config.get("rescale_betas_zero_snr", False)),
        "ss_output_name": options.out.stem,
        "ss_network_module": "networks.lora",
        "ss_network_dim": options.rank,
        "ss_network_alpha": options.network_alpha,
        "ss_network_args": json.dumps(scaled),
        "ss_steps": options.steps,
        "ss_max_train_steps": options.steps,
        "ss_epoch": epoch,
        "ss_num_epochs": epoch,
        "ss_num_batches_per_epoch": examples.batches.per_epoch,
        "ss_total_batch_size": options.batch_size,
        "ss_num_train_images": sum(examples.batches.counts.values()),
        "ss_num_reg_images": 0,
        "ss_learning_rate": options.learning_rate,
        "ss_unet_lr": options.learning_rate,
        "ss_text_encoder_lr": options.learning_rate if options.text_encoders else None,
        "ss_lr_scheduler": "cosine",
        "ss_optimizer": "torch.optim.adamw.AdamW",
        "ss_min_snr_gamma": SNR_LIMIT,
        "ss_mixed_precision": {"bfloat16": "bf16", "float16": "fp16"}.get(str(model.dtype).removeprefix("torch."), "no"),
        "ss_seed": options.seed,
        "ss_caption_dropout_rate": options.caption_dropout,
        "ss_shuffle_caption": options.shuffle_tags,
        "ss_keep_tokens": options.keep_tags,
        "ss_resolution": f"({resolution}, {resolution})",
        "ss_enable_bucket": True,
        "ss_bucket_info": json.dumps(_buckets(examples)),
        "ss_dataset_dirs": json.dumps(_folders(examples)),
        "ss_tag_frequency": json.dumps(_tags(examples), ensure_ascii=False),
        "modelspec.sai_model_spec": "1.0.0",
        "modelspec.architecture": "stable-diffusion-xl-v1-base/lora",
        "modelspec.implementation": "https://github.com/huggingface/diffusers",
        "modelspec.title": options.title,
        "modelspec.trigger_phrase": options.trigger,
        "modelspec.resolution": f"{resolution}x{resolution}",
        "modelspec.prediction_type": "v" if velocity else "epsilon",
    }
    return {key: str(value) for key, value in notes.items()}


def _buckets(examples: Examples) -> dict[str, object]:
    counts = enumerate(examples.batches.counts.items())
    return {"buckets": {str(number): {"resolution": size, "count": count} for number, (size, count) in counts}}


def _folders(examples: Examples) -> dict[str, dict[str, int]]:
    folders: dict[str, dict[str, int]] = {}
    for picture in examples.pictures:
        entry = folders.setdefault(picture.path.parent.name, {"n_repeats": picture.repeats, "img_count": 0})
        entry["img_count"] += 1
    return folders


def _tags(examples: Examples) -> dict[str, dict[str, int]]:
    """Returns how many pictures of each folder have each tag, the most frequent first."""
    counters: dict[str, Counter[str]] = {}
    for picture in examples.pictures:
        counters.setdefault(picture.path.parent.name, Counter()).update(split_tags(picture.caption))
    return {folder: dict(counter.most_common()) for folder, counter in counters.items()}
