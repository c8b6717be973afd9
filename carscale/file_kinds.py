"""What a file is by its first bytes, where it is not what was asked for."""

from __future__ import annotations

import codecs
import re
from typing import NamedTuple

HEAD_BYTES = 4096
"""Of a file, which are looked at."""


class FileKind(NamedTuple):
    """What bytes are, and what to do.

    Attributes:
        name: With its article: ``an HTML page``.
        remedy: What to do about it, as a person types or does it.
        is_photo: Whether it is a photo in a format that may not be read.
    """

    name: str
    remedy: str
    is_photo: bool = False

    def __str__(self) -> str:
        """Return both in one line."""
        return f"{self.name}; {self.remedy}"


_AGAIN = "download the file again"
_UNPACK = "unpack it"
_AS_JPEG = "save it as JPEG or PNG"
_DEVELOP = "develop it to JPEG or PNG with a raw converter"
HEIC = FileKind(
    "a HEIC photo (HEIF, as phones take them)", "read it: pip install 'carscale[heic]'", True
)
RAW = FileKind("a camera raw file", _DEVELOP, True)
_VIDEO = FileKind("a video", "take frames from it: ffmpeg -i VIDEO -r 1 frame-%04d.jpg")
_ZEROS = FileKind("nothing but zeros", "an interrupted copy leaves that: copy the file again")
_ARCHIVE = FileKind("a zip archive", _UNPACK)
_SHEET = FileKind("an office document", "save its sheet as CSV UTF-8, its pictures as JPEG")
_TAR = FileKind("a tar archive", _UNPACK)
_PARQUET = FileKind("a Parquet file", "give it a name that ends in .parquet")
_PACKED = FileKind("a packed file", _UNPACK)
CONTAINERS = (_ARCHIVE, _TAR, _PACKED, _PARQUET)
"""What may hold photos and tables."""
_SHEETS = (b"[Content_Types].xml", b"docProps/", b"xl/", b"word/", b"mimetypeapplication/vnd")
_POINTER = FileKind("a git-lfs pointer, not the file itself", "fetch it: git lfs pull")
_STARTS: tuple[tuple[int, bytes, FileKind], ...] = (
    (0, b"version https://git-lfs.github.com/spec/", _POINTER),
    (0, b"version https://hawser.github.com/spec/", _POINTER),
    (0, b"%PDF", FileKind("a PDF", "take its pictures out: pdfimages -all FILE.pdf page")),
    (0, b"PK\3\4", _ARCHIVE),
    *((0, start, _PACKED) for start in (b"\x1f\x8b", b"7z\xbc\xaf", b"Rar!", b"\xfd7zXZ")),
    (0, b"\x28\xb5\x2f\xfd", _PACKED),
    (4, b"1AY&SY", _PACKED),
    (257, b"ustar\0", _TAR),
    (257, b"ustar ", _TAR),
    (8, b"AVI LIST", _VIDEO),
    *((0, s, _VIDEO) for s in (b"\x1aE\xdf\xa3", b"FLV\1", b"\0\0\1\xba", b"\0\0\1\xb3", b"OggS")),
    (0, b"\x30\x26\xb2\x75", _VIDEO),
    (8, b"CR\2\0", RAW),
    *((0, s, RAW) for s in (b"IIRO", b"IIRS", b"IIU\0", b"MMOR", b"FUJIFILMCCD-RAW", b"FOVb")),
    (0, b"\0MRM", RAW),
    (0, b"8BPS", FileKind("a Photoshop document", _AS_JPEG, True)),
    (0, b"gimp xcf", FileKind("a GIMP document", _AS_JPEG, True)),
    (0, b"%!PS", FileKind("a PostScript file", _AS_JPEG)),
    (0, b"\xff\x0a", FileKind("a JPEG XL photo", "convert it: djxl PHOTO.jxl PHOTO.png", True)),
    (4, b"JXL \r\n", FileKind("a JPEG XL photo", "convert it: djxl PHOTO.jxl PHOTO.png", True)),
    (0, b"v/1\1", FileKind("an OpenEXR picture", _AS_JPEG, True)),
    (0, b"#?RADIANCE", FileKind("a Radiance HDR picture", _AS_JPEG, True)),
    (128, b"DICM", FileKind("a DICOM picture", _AS_JPEG, True)),
    (0, b"\0\5\x16\7", FileKind("a macOS file of attributes", "delete it")),
    (0, b"bplist00", FileKind("a macOS property list", "let iCloud download the photo itself")),
    (0, b"\x93NUMPY", FileKind("a NumPy array", _AS_JPEG)),
    (0, b"PAR1", _PARQUET),
    (0, b"SQLite format 3", FileKind("an SQLite database", "save the table as CSV")),
    (0, b"\xd0\xcf\x11\xe0", _SHEET),
)
_MARKS = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_PICTURE = re.compile(
    rb"\xff\xd8\xff|\x89PNG|GIF8|BM.{8}|II\*\0|MM\0\*|RIFF.{4}WEBP|\0\0\0\x0cjP  |P[1-6]\s|"
    rb"\x00\x00\x01\x00",
    re.DOTALL,
)
_TEXTS = (
    (rb"<!doctype html|<html|<head|<script|<body", FileKind("an HTML page", _AGAIN)),
    (rb"(<\?xml.*?)?(<!.*?)?<svg", FileKind("an SVG drawing", _AS_JPEG, True)),
    (rb"<\?xml|<[a-z]+[ >]", FileKind("an XML file", _AGAIN)),
    (rb"[{\[]\s*[\"{\[\]}0-9-]", FileKind("a JSON file", _AGAIN)),
    (rb"data:image/|/9j/|ivborw0kgg", FileKind("base64 text", "decode it: base64 -d FILE")),
)
_BRANDS = {
    **dict.fromkeys((b"avif", b"avis"), FileKind("an AVIF photo", _AS_JPEG, True)),
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"heif"), HEIC),
    **dict.fromkeys((b"mif1", b"msf1"), HEIC),  # where no other says more
    b"crx ": RAW,
}


def kind_of(data: bytes) -> FileKind | None:
    """Return what bytes are, where they are known and no photo that every reader reads.

    Args:
        data: All of a file, or its first ``HEAD_BYTES``.

    Returns:
        ``None`` for readable photos and what is not known.

    Example:
        >>> print(kind_of(b"<!DOCTYPE html><html>404</html>"))
        an HTML page; download the file again
        >>> kind_of(b"hello") is None
        True
    """
    if data and data.count(0) == len(data):
        return _ZEROS
    head = data[:HEAD_BYTES]
    if head[4:8] == b"ftyp":
        return _of_brands(head)
    if head.startswith(b"PK\3\4") and head[30:].startswith(_SHEETS):  # the first name inside
        return _SHEET
    for place, start, kind in _STARTS:
        if head.startswith(start, place):
            return kind
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip().lower()
    for pattern, kind in _TEXTS:
        if re.match(pattern, text, re.DOTALL):
            return kind
    return None


def is_photo(head: bytes) -> bool:
    """Tell whether a file's first bytes are those of a photo, also of one that can't be read.

    Example:
        >>> is_photo(b"GIF89a"), is_photo(b"path,label")
        (True, False)
    """
    kind = kind_of(head)
    return kind.is_photo if kind else _PICTURE.match(head) is not None


def encoding_of(data: bytes) -> str:
    """Return the encoding of a text: what its byte order mark or the NULs in it say, or UTF-8.

    A mark of UTF-8 stays the first letter of what is decoded.

    Example:
        >>> encoding_of("Audi".encode("utf-16")), encoding_of(b"Audi")
        ('utf-16', 'utf-8')
    """
    if encoding := next((name for mark, name in _MARKS if data.startswith(mark)), ""):
        return encoding
    nuls = (data[0:4:2] == b"\0\0", data[1:4:2] == b"\0\0")  # beside each letter of the first two
    return {(True, False): "utf-16-be", (False, True): "utf-16-le"}.get(nuls, "utf-8")


def _of_brands(head: bytes) -> FileKind:
    """Return what a file of ISO boxes is by its brands: a photo where one says so, or a video."""
    size = min(int.from_bytes(head[:4], "big"), 256)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, max(size, 16), 4))]
    said = sorted((b for b in brands if b in _BRANDS), key=lambda b: b in (b"mif1", b"msf1"))
    return _BRANDS[said[0]] if said else _VIDEO
