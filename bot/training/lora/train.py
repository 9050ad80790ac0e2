"""Trains a LoRA on a folder of captioned pictures: `train_lora` implements `python -m bot train-lora`."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from threading import Event
from typing import Any

import torch

from bot.errors import FolderError, ModelError
from bot.inference.faults import free_memory, is_out_of_memory
from bot.inference.torch_import import import_libraries
from bot.training.loop import Extras, OtherTrainingError, Schedule, Training
from bot.training.lora.dataset import Batches, Picture, frame, make_buckets, read_folder
from bot.training.lora.export import lora_notes, write_lora
from bot.training.lora.model import TrainingModel, load_for_training
from bot.training.lora.options import LoraOptions
from bot.training.lora.style import check_style, style_text, write_style
from bot.training.lora.task import Encode, Examples, LoraTask, encode_pictures, encoder_of
from bot.training.lora.weights import LoraWeights, add_lora, kohya_tensors

WARMUP = 100  # steps at most
# options that may differ between a training and its continuation
PASSING = ("steps", "out", "device", "threads", "log_every", "style", "data_dir", "gradient_checkpointing", "pictures")
NO_MEMORY = (
    "This does not fit into the memory of {device}. Take a smaller --batch-size or --resolution, --target attention, or no "
    "--text-encoders."
)


def train_lora(options: LoraOptions, encode: Encode | None = None) -> Path:
    """Train until `options.steps`, continuing from the checkpoint beside `options.out` if there is one, and write the file.

    `encode` replaces the model's VAE for callers with better latents. Prints its progress. Ctrl-C ends it after a step, with a
    checkpoint, as KeyboardInterrupt. Raises FolderError for the pictures and files, ModelError for the model,
    InvalidRequestError for the style's name.
    """
    if not options.out.absolute().parent.is_dir():
        raise FolderError(f"The folder {options.out.absolute().parent} does not exist. Make it, or give --out another path.")
    pictures = read_folder(options.pictures, trigger=options.trigger)
    import_libraries()
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    model = load_for_training(options)
    style = style_text(options, model)
    check_style(options, style)
    try:
        _train(options, model, pictures, encode or encoder_of(model.pipeline))
    except Exception as error:
        if not is_out_of_memory(error):
            raise
        raise ModelError(NO_MEMORY.format(device=model.pipeline.unet.device)) from error
    print(f"Done: {options.out}. Keep {_state_name(options)}.pt beside it only if you may train on with more --steps.")
    write_style(options, style)
    return options.out


def _train(options: LoraOptions, model: TrainingModel, pictures: Sequence[Picture], encode: Encode) -> None:
    examples = _prepare(options, model, pictures, encode)
    weights = add_lora(model.pipeline, options)
    count = sum(part.numel() for part in weights.parameters())
    print(
        f"Training {len(weights.down)} layers, {count / 1e6:.2f} million numbers, in {str(model.dtype).removeprefix('torch.')}"
    )
    training = _open(options, model, examples, weights)
    if training.step:
        print(f"Going on from step {training.step}")
    with _signals() as stop:
        training.run(threads=None, stop=stop)
    if training.step < options.steps:
        print(f"Stopped after step {training.step} of {options.steps}. The same command goes on from there.")
        raise KeyboardInterrupt
    averaged = training.average.module.state_dict()
    write_lora(options.out, kohya_tensors(averaged, options.network_alpha), lora_notes(options, model, examples))


def _prepare(options: LoraOptions, model: TrainingModel, pictures: Sequence[Picture], encode: Encode) -> Examples:
    """Choose each picture's bucket and encode all of them; afterwards the VAE needs no memory of the GPU."""
    pipeline = model.pipeline
    buckets = make_buckets(options.resolution or model.resolution, pipeline.vae_scale_factor)
    frames = [frame(picture.width, picture.height, buckets) for picture in pictures]
    batches = Batches(pictures, frames, options.batch_size, options.seed)
    sizes = ", ".join(f"{width}×{height}: {count}" for (width, height), count in batches.counts.items())
    print(f"{len(pictures)} pictures; an epoch has {batches.per_epoch} steps; sizes {sizes}")
    small = sum(picture.width < framed.width for picture, framed in zip(pictures, frames, strict=True))
    if small:
        print(f"{small} pictures are smaller than their size here and were enlarged; larger ones would be sharper")
    if cut := _too_long(pipeline, pictures):
        print(f"{cut} captions are longer than the {pipeline.tokenizer.model_max_length} tokens that the model reads")
    latents = encode_pictures(pictures, frames, encode)
    pipeline.vae.to("cpu")
    free_memory()
    return Examples(pictures=pictures, frames=frames, latents=latents, batches=batches)


def _too_long(pipeline: Any, pictures: Sequence[Picture]) -> int:
    """Returns how many captions are cut off."""
    read = pipeline.tokenizer.model_max_length
    return sum(len(pipeline.tokenizer(picture.caption).input_ids) > read for picture in pictures)


def _open(options: LoraOptions, model: TrainingModel, examples: Examples, weights: LoraWeights) -> Training:
    schedule = Schedule(
        steps=options.steps,
        learning_rate=options.learning_rate,
        warmup=min(WARMUP, options.steps // 10),
        seed=options.seed,
        log_every=options.log_every,
    )
    extras = Extras(
        fingerprint=_fingerprint(options, examples.pictures), scaled=model.dtype == torch.float16, report=_reporter(options)
    )
    task = LoraTask(model.pipeline, weights, examples, options, model.dtype)
    folder, name = options.out.parent, _state_name(options)
    try:
        return Training(task, schedule, folder, name, extras)
    except OtherTrainingError:
        raise FolderError(
            f"{folder / name}.pt is the checkpoint of another training (other pictures, captions or settings). Delete it, or "
            "give --out another name."
        ) from None


def _state_name(options: LoraOptions) -> str:
    return f"{options.out.stem}.training"


def _fingerprint(options: LoraOptions, pictures: Sequence[Picture]) -> str:
    """Returns a hash of everything that a step depends on."""
    settings = {name: value for name, value in asdict(options).items() if name not in PASSING}
    seen = [(picture.path.name, picture.caption, picture.repeats, picture.width, picture.height) for picture in pictures]
    return hashlib.sha256(json.dumps([settings, seen], sort_keys=True).encode()).hexdigest()


def _reporter(options: LoraOptions) -> Callable[[int, float, float], None]:
    def report(step: int, loss: float, rate: float) -> None:
        minutes = (options.steps - step) * options.batch_size / rate / 60
        print(f"step {step} of {options.steps}: loss {loss:.4f}, {rate:.2f} pictures/s, {minutes:.0f} min left", flush=True)

    return report


@contextmanager
def _signals() -> Generator[Event]:
    """Make the first SIGINT or SIGTERM ask for a stop after the running step; a second one has its usual effect."""
    stop = Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_signal(number: int, _frame: object) -> None:
        signal.signal(number, before[signal.Signals(number)])
        stop.set()

    for number in before:
        signal.signal(number, on_signal)
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
