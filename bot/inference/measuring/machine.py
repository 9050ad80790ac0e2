"""Keys for measured durations: the machine, its driver, the model, and the versions of the libraries."""

from __future__ import annotations

import platform
import re
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import torch

from bot import __version__
from bot.inference.loading.pipelines import LoadedModel

NVIDIA_DRIVER = Path("/proc/driver/nvidia/version")
CPU_INFO = Path("/proc/cpuinfo")
LIBRARIES = ("torch", "diffusers", "transformers")


def device_name(device: torch.device) -> str:
    """Returns the GPU's name; for others the kind of device, its processor and threads."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{device.type.upper()}, {platform.machine()}, {torch.get_num_threads()} threads"


def synchronise(device: torch.device) -> None:
    """Wait until the device has finished everything that it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    elif device.type == "mps":
        torch.mps.synchronize()


def timed(device: torch.device, work: Callable[[], object]) -> float:
    """Returns the seconds from the call until the device is done; the device must be idle before."""
    synchronise(device)
    began = time.perf_counter()
    work()
    synchronise(device)
    return time.perf_counter() - began


def measuring_key(model: LoadedModel, *, mode: str) -> dict[str, str]:
    """Returns the key of a measurement on this model in its default size; `mode` says how it is called."""
    size = model.profile.size(None)
    device = model.device
    return {
        "device": device_name(device) if device.type == "cuda" else f"{device_name(device)}, {_processor()}",
        "driver": _driver() if device.type == "cuda" else "",
        "model": f"{_weights(model)}, {size.width} x {size.height}",
        "mode": f"{mode}, {dtype_name(model.text2img.unet.dtype)}",
        "versions": ", ".join([f"pastel {__version__}", *(f"{name} {version(name)}" for name in LIBRARIES)]),
    }


def lasting_key(model: LoadedModel, *, mode: str) -> dict[str, str]:
    """Returns the key of what is measured once per processor and model, whatever the versions and threads."""
    return {
        "device": f"{model.device.type.upper()}, {platform.machine()}, {_processor()}",
        "model": _weights(model),
        "mode": mode,
    }


def dtype_name(dtype: torch.dtype) -> str:
    """Returns torch's name of the type, without the prefix "torch."."""
    return str(dtype).removeprefix("torch.")


def _weights(model: LoadedModel) -> str:
    source = model.profile.source
    place = source.repo or source.folder or source.file
    return f"{model.profile.name}, {place}, {source.revision or model.model_hash or ''}"


def _processor() -> str:
    found = re.search(r"^model name\s*:\s*(.+)$", _text(CPU_INFO), re.MULTILINE)
    return found.group(1) if found else platform.processor()


def _driver() -> str:
    found = re.search(r"Module\s+([\d.]+)", _text(NVIDIA_DRIVER))
    return f"{found.group(1) if found else 'unknown'}, CUDA {torch.version.cuda}"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
