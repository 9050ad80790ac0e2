"""What a picture file says about itself: how it was made, and that a model made it."""

from __future__ import annotations

import io

from PIL.Image import Exif, Image
from PIL.PngImagePlugin import PngInfo

from bot import __version__

PARAMETERS = "parameters"  # the PNG text key that A1111 introduced
XMP_KEY = "XML:com.adobe.xmp"
EXIF_IFD, USER_COMMENT = 0x8769, 0x9286  # Exif 2.3: the sub-directory, and the comment in it
UNICODE_MARK, ASCII_MARK = b"UNICODE\0", b"ASCII\0\0\0"

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
    """PNG with the parameters as text and the XMP mark."""
    info = PngInfo()
    info.add_text(PARAMETERS, parameters)  # Pillow writes iTXt by itself where Latin-1 does not do
    info.add_itxt(XMP_KEY, XMP)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", pnginfo=info)
    return buffer.getvalue()


def encode_webp(image: Image, parameters: str | None, quality: int) -> bytes:
    """Lossy WebP with the same metadata, the parameters as Exif UserComment; None: no metadata at all."""
    buffer = io.BytesIO()
    if parameters is None:
        image.save(buffer, "WEBP", quality=quality)
    else:
        image.save(buffer, "WEBP", quality=quality, exif=_exif(parameters), xmp=XMP.encode())
    return buffer.getvalue()


def read_parameters(image: Image) -> str | None:
    """The parameters inside a PNG, WebP or JPEG; None where there are none."""
    text = image.info.get(PARAMETERS)
    if isinstance(text, str):
        return text
    comment = image.getexif().get_ifd(EXIF_IFD).get(USER_COMMENT)
    if isinstance(comment, bytes):
        return _decoded(comment)
    return comment if isinstance(comment, str) else None


def _decoded(comment: bytes) -> str | None:
    """Exif says nothing of the order of bytes in a Unicode comment: where the high bytes are, most are 0 in such a text."""
    if comment.startswith(UNICODE_MARK):
        text = comment.removeprefix(UNICODE_MARK)
        little = text[1::2].count(0) > text[0::2].count(0)
        return text.decode("utf-16-le" if little else "utf-16-be", errors="replace")
    if comment.startswith(ASCII_MARK):
        return comment.removeprefix(ASCII_MARK).decode(errors="replace")
    return None


def _exif(parameters: str) -> Exif:
    exif = Exif()
    exif.get_ifd(EXIF_IFD)[USER_COMMENT] = UNICODE_MARK + parameters.encode("utf-16-be")
    return exif
