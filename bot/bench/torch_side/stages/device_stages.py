"""Measures the machine itself: its roofs, the cost of a file, and matrix products in 8 bit."""

# torch and diffusers are partly unannotated, and torch has no public product of 8 bit matrices.
# pyright: reportPrivateUsage=false, reportPrivateImportUsage=false
from __future__ import annotations

import os
import platform
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from importlib.metadata import version
from typing import Any

import torch
from PIL import Image, ImageDraw

from bot.bench.torch_side.linear_shapes import LinearShape, linear_shapes
from bot.bench.torch_side.stages.stopwatch import Stopwatch
from bot.inference.images.metadata import encode_png, encode_webp
from bot.inference.loading.pipelines import LoadedModel
from bot.inference.measuring.machine import LIBRARIES, device_name

SMI_FIELDS = "name,driver_version,clocks.sm,clocks.max.sm,power.limit,memory.total"
SMI_SECONDS = 10.0
SIDES = {"cuda": 8192, "mps": 2048, "cpu": 512}  # of square matrices
COPIED = {"cuda": 2**32, "mps": 2**28, "cpu": 2**24}  # bytes
FP8_ROWS = (2, 16)  # of the UNet's call
FP8_SHAPES = 6  # of the UNet's matrix products, those with the most arithmetic
FP8_CAPABILITY = (8, 9)  # Ada; older cards have no such units (torch's own check in _scaled_mm)
FP8_SIDE = 16  # torch._scaled_mm takes multiples of it
WEBP_QUALITY = 90

Line = dict[str, Any]


class DeviceStages:
    """Stages of the device. Belongs to the thread that draws."""

    def __init__(self, model: LoadedModel, stopwatch: Stopwatch) -> None:
        self._model = model
        self._stopwatch = stopwatch

    def machine(self, room: float) -> Iterator[Line]:
        """Yields names and versions, then matrix products in each type, then copies."""
        del room
        device = self._stopwatch.device
        yield {
            "device": device_name(device),
            "smi": _smi() if self._stopwatch.is_cuda else None,
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "cudnn": torch.backends.cudnn.version(),
            "versions": {name: version(name) for name in LIBRARIES},
        }
        side = SIDES[device.type]
        for dtype in (torch.float16, torch.bfloat16, torch.float32) if self._stopwatch.is_cuda else (torch.float32,):
            left, right = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
            took = self._stopwatch.took(lambda left=left, right=right: left @ right)
            yield {"matmul": _name(dtype), "tflops": round(2 * side**3 / took.device_ms / 1e9, 2)}
        source = torch.empty(COPIED[device.type], dtype=torch.uint8, device=device)
        target = torch.empty_like(source)
        took = self._stopwatch.took(lambda: target.copy_(source))
        yield {"copied_gb": source.numel() / 1e9, "gb_s": round(2 * source.numel() / took.device_ms / 1e6, 1)}

    def files(self, room: float) -> Iterator[Line]:
        """Yields the cost of a picture with a texture like drawings; noise, which random weights draw, differs for PNG."""
        del room
        size = self._model.profile.size(None)
        image = textured(size.width, size.height)
        encoders: dict[str, Callable[[], bytes]] = {
            "png": lambda: encode_png(image, ""),
            f"webp {WEBP_QUALITY}": lambda: encode_webp(image, "", WEBP_QUALITY),
        }
        for name, encode in encoders.items():
            began = time.process_time()
            data = encode()
            cpu = time.process_time() - began
            yield {"file": name, "width": size.width, "height": size.height, "cpu_ms": round(1000 * cpu, 1), "bytes": len(data)}

    def fp8(self, room: float) -> Iterator[Line]:
        """Yields the ceiling of an FP8 mode: torch._scaled_mm beside the model's own type on the UNet's largest products."""
        del room
        if torch.cuda.get_device_capability(self._stopwatch.device) < FP8_CAPABILITY:
            yield {"unavailable": "this GPU has no FP8 units"}
            return
        shapes = linear_shapes(self._model)
        total = sum(shape.flops for shape in shapes)
        largest = [shape for shape in shapes if not (shape.inputs % FP8_SIDE or shape.outputs % FP8_SIDE)][:FP8_SHAPES]
        for rows in FP8_ROWS:
            for shape in largest:
                yield {"rows": rows, "share": round(shape.flops / total, 3), **self._compared(shape, rows)}

    def _compared(self, shape: LinearShape, rows: int) -> Line:
        device, own = self._stopwatch.device, self._model.text2img.unet.dtype
        m, k, n = rows * shape.tokens, shape.inputs, shape.outputs
        left, right = torch.randn(m, k, device=device, dtype=own), torch.randn(n, k, device=device, dtype=own)
        left_8, right_8 = left.to(torch.float8_e4m3fn), right.to(torch.float8_e4m3fn)
        scales = {
            "tensor": (torch.ones((), device=device), torch.ones((), device=device)),
            "row": (torch.ones(m, 1, device=device), torch.ones(1, n, device=device)),
        }
        line: Line = {"m": m, "k": k, "n": n, "count": shape.count}
        line["us"] = round(1000 * self._stopwatch.took(lambda: left @ right.t()).device_ms, 1)
        for name, (scale_left, scale_right) in scales.items():

            def multiply(scale_left: torch.Tensor = scale_left, scale_right: torch.Tensor = scale_right) -> torch.Tensor:
                return torch._scaled_mm(left_8, right_8.t(), scale_a=scale_left, scale_b=scale_right, out_dtype=torch.bfloat16)

            line[f"fp8_{name}_us"] = round(1000 * self._stopwatch.took(multiply).device_ms, 1)
        return line


def textured(width: int, height: int) -> Image.Image:
    """Returns a drawing by a rule: a gradient, outlined ellipses, and a light grain."""
    across = torch.linspace(0, 1, width).expand(height, width)
    down = torch.linspace(0, 1, height)[:, None].expand(height, width)
    grain = torch.randn(height, width, 3, generator=torch.Generator().manual_seed(0))
    colours = torch.stack([120 + 100 * across, 150 + 60 * down, 200 - 90 * across * down], dim=-1)
    image = Image.fromarray(colours.to(torch.uint8).numpy())
    draw = ImageDraw.Draw(image)
    for number in range(60):
        left, top = number * 7919 % width, number * 104729 % height
        box = (left, top, left + width // 6, top + height // 9)
        draw.ellipse(box, fill=(number * 37 % 256, number * 91 % 256, number * 53 % 256), outline=(30, 20, 40), width=2)
    pixels = torch.frombuffer(bytearray(image.tobytes()), dtype=torch.uint8)
    grained = (pixels.view(height, width, 3) + 2 * grain).clamp(0, 255).to(torch.uint8)
    return Image.fromarray(grained.numpy())


def _smi() -> str | None:
    """Returns clocks and power limit as the driver's own tool tells them; None if it does not."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return None
    try:
        result = subprocess.run(  # noqa: S603  # a fixed command
            [program, f"--query-gpu={SMI_FIELDS}", "--format=csv,noheader"],
            capture_output=True,
            text=True,
            timeout=SMI_SECONDS,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return result.stdout.strip() or None


def _name(dtype: torch.dtype) -> str:
    return str(dtype).removeprefix("torch.")
