"""What a picture's file is called, and how it is named on this machine and elsewhere."""

from urllib.parse import unquote

SUFFIXES = frozenset(
    (
        *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"),
        *(".ppm", ".pgm", ".pbm", ".avif", ".heic", ".heif", ".jxl", ".jp2", ".j2k", ".ico"),
        *(".tga", ".dds"),
    )
)


def is_picture(name: str) -> bool:
    """Whether a file is called as pictures are."""
    return f".{name.rpartition('.')[2]}".lower() in SUFFIXES


def as_path(url: str) -> str:
    """The path that a url column names: of file:// addresses too, and written with backslashes."""
    if url[:7].lower() == "file://":
        host, slash, path = url[7:].partition("/")
        return unquote(slash + path) if host in ("", "localhost") else url
    return url.replace("\\", "/") if "\\" in url else url
