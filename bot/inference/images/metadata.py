"""Reads and writes a picture file's metadata: how it was made, and that a model made it."""

from __future__ import annotations

import codecs
import io
import zlib

from PIL.Image import Exif, Image
from PIL.Image import new as new_image
from PIL.PngImagePlugin import PngInfo

from bot import __version__

PARAMETERS = "parameters"  # the PNG text key that A1111 introduced
XMP_KEY = "XML:com.adobe.xmp"
PILLOWS_OWN = -1  # its strategy for zlib: repetitions are searched anywhere
BANDS = (0.2, 0.4, 0.6, 0.8)  # of the height: where a picture is tried, each a twenty-fourth of it
EXIF_IFD, USER_COMMENT = 0x8769, 0x9286  # Exif 2.3: the sub-directory, and the comment in it
UNICODE_MARK, ASCII_MARK, JIS_MARK, UNDEFINED_MARK = b"UNICODE\0", b"ASCII\0\0\0", b"JIS\0\0\0\0\0", bytes(8)

# IPTC's term for a picture that a trained model made (iptc.org, "Digital Source Type")
XMP = f"""<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmp:CreatorTool="Pastel {__version__}"
    Iptc4xmpExt:DigitalSourceType="http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def encode_png(image: Image, parameters: str) -> bytes:
    """Returns a PNG with the parameters as text and the XMP mark."""
    info = PngInfo()
    info.add_text(PARAMETERS, parameters)  # Pillow writes iTXt by itself where Latin-1 does not do
    info.add_itxt(XMP_KEY, XMP)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info, compress_type=packing(image))
    return buffer.getvalue()


def packing(image: Image) -> int:
    """Returns Pillow's `compress_type`: Z_RLE, which looks for runs only, if it packs the picture's bands as small.

    Paint with a grain has no patterns that are worth the search, which takes three to five times as long; writing and flat
    shapes have. (zlib's manual, deflateInit2.)
    """
    height = max(8, image.height // 24)
    bands = new_image(image.mode, (image.width, height * len(BANDS)))
    for number, share in enumerate(BANDS):
        top = int(share * image.height)
        bands.paste(image.crop((0, top, image.width, top + height)), (0, number * height))
    runs, anywhere = (_packed_size(bands, strategy) for strategy in (zlib.Z_RLE, PILLOWS_OWN))
    return zlib.Z_RLE if runs <= anywhere else PILLOWS_OWN


def _packed_size(image: Image, strategy: int) -> int:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", compress_type=strategy)
    return buffer.tell()


def encode_webp(image: Image, parameters: str | None, quality: int) -> bytes:
    """Returns a lossy WebP with the same metadata, the parameters as Exif UserComment; None: no metadata at all."""
    buffer = io.BytesIO()
    if parameters is None:
        image.save(buffer, "WEBP", quality=quality)
    else:
        image.save(buffer, "WEBP", quality=quality, exif=_exif(parameters), xmp=XMP.encode())
    return buffer.getvalue()


def read_parameters(image: Image) -> str | None:
    """Returns the parameters in a picture of ours, or in another whose text Pillow has read; None if there are none."""
    text = image.info.get(PARAMETERS)
    if isinstance(text, str):
        return text
    return comment_text(image.getexif().get_ifd(EXIF_IFD).get(USER_COMMENT)) or None


def comment_text(value: object) -> str:
    """Returns an Exif comment without the NULs that fill it up; "" for a value that is no text.

    Programs write the code that Exif wants in front of it, or none; and behind any code UTF-8 as well as UTF-16 of either byte
    order, with a mark for it or without. Pillow returns text that it took for Latin-1.
    """
    if isinstance(value, str):
        try:
            value = value.encode("latin-1")
        except UnicodeEncodeError:
            return value.strip("\0\ufeff")
    if not isinstance(value, bytes):
        return ""
    if value.startswith(JIS_MARK):
        return value.removeprefix(JIS_MARK).decode("iso2022_jp", errors="replace").strip("\0")
    mark = next((mark for mark in (UNICODE_MARK, ASCII_MARK, UNDEFINED_MARK) if value.startswith(mark)), b"")
    return _decoded(value.removeprefix(mark)).strip("\0\ufeff")


def _decoded(text: bytes) -> str:
    """Returns the text if no mark tells its encoding: NULs inside are high bytes of UTF-16, mostly 0 in such a text."""
    even = text + b"\0" * (len(text) % 2)  # Pillow takes one NUL from the end of a value that it takes for text
    if text.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return even.decode("utf-16", errors="replace")
    inside = text.rstrip(b"\0")
    if b"\0" not in inside:
        try:
            return inside.decode()
        except UnicodeDecodeError:
            pass
    else:
        little = inside[1::2].count(0) > inside[0::2].count(0)
        return even.decode("utf-16-le" if little else "utf-16-be", errors="replace")
    return text.decode("latin-1")


def _exif(parameters: str) -> Exif:
    exif = Exif()
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = UNICODE_MARK + parameters.encode("utf-16-be")
    return exif
