"""HEIC and JPEG XL, which Pillow reads with plugins alone: the extra `formats` brings them.

They are registered where pictures are decoded, which is in child processes, and when the first
such picture comes: what they import takes longer than a photograph.
"""

from PIL import Image

from .rows import Refused

HEIF, JXL = "HEIF", "JXL"  # as their plugins call them
_NAMES = {HEIF: "HEIC (HEIF)", JXL: "JPEG XL"}
_JXL_STARTS = (b"\xff\x0a", b"\0\0\0\x0cJXL \r\n\x87\n")  # bare, and in a container
_HEIF_BRANDS = frozenset(
    (b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs", b"mif1", b"msf1")
)
_AVIF_BRANDS = frozenset((b"avif", b"avis"))  # Pillow reads them itself
_MOST_BRANDS = 256  # bytes of them that are looked at


def further_format(data: bytes) -> str | None:
    """HEIF or JXL where the first bytes say so."""
    if data.startswith(_JXL_STARTS):
        return JXL
    if data[4:8] != b"ftyp":
        return None
    end = min(int.from_bytes(data[:4]), _MOST_BRANDS)
    brands = {data[8:12], *(data[place : place + 4] for place in range(16, end, 4))}
    return HEIF if brands & _HEIF_BRANDS and not brands & _AVIF_BRANDS else None


def register(name: str) -> None:
    """Let Pillow read a format; without its plugin nothing happens."""
    try:
        if name == HEIF:
            import pillow_heif

            # A thumbnail is another picture, which may show anything.
            pillow_heif.register_heif_opener(decode_threads=1, thumbnails=False)
        else:
            from pillow_jxl import JpegXLImagePlugin

            JpegXLImagePlugin.DECODE_THREADS = 0
    except ImportError:
        return


def check_readable(name: str) -> None:
    """Raise Refused, unread_format, where the plugin is not there."""
    if name not in Image.OPEN:
        raise Refused(
            "unread_format", f"{_NAMES[name]}; install: pip install 'memtriggers[formats]'"
        )
