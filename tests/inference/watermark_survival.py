"""How much of the invisible watermark is left in files: `python -m tests.inference.watermark_survival FILE …`.

Needs the extra `watermark`. Prints a line a picture: the share of bits that are read again, half of which come right by chance.
"""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
from diffusers.pipelines.stable_diffusion_xl.watermark import WATERMARK_BITS
from PIL import Image

from bot.inference.images.codec import QUALITIES
from bot.inference.images.metadata import encode_png, encode_webp
from bot.inference.images.watermark import METHOD, Watermark


def share_read(image: Image.Image) -> float:
    from imwatermark import WatermarkDecoder

    pixels = np.asarray(image.convert("RGB"))[:, :, ::-1].copy()
    bits = WatermarkDecoder("bits", len(WATERMARK_BITS)).decode(pixels, METHOD)
    return float(np.mean(np.asarray(bits, dtype=int) == np.asarray(WATERMARK_BITS)))


def jpeg(image: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def shares(image: Image.Image) -> dict[str, float]:
    marked = Watermark().over(image)
    files = {"PNG": encode_png(marked, "")}
    files |= {f"WebP {quality}": encode_webp(marked, "", quality) for quality in QUALITIES}
    files |= {f"JPEG {quality}": jpeg(marked, quality) for quality in (95, 85)}
    found = {name: share_read(Image.open(io.BytesIO(data))) for name, data in files.items()}
    smaller = marked.resize((image.width * 3 // 4, image.height * 3 // 4))
    return {"unmarked": share_read(image), **found, "three quarters": share_read(smaller)}


def main(paths: list[str]) -> None:
    for path in map(Path, paths):
        with Image.open(path) as image:
            found = shares(image.convert("RGB"))
        print(f"{path.name}: " + ", ".join(f"{name} {share:.0%}" for name, share in found.items()))


if __name__ == "__main__":
    main(sys.argv[1:])
