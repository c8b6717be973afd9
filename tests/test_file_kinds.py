"""What a file is by its first bytes, and what is said of it."""

import io

import pytest
from PIL import Image

from carscale.file_kinds import HEIC, RAW, is_photo, kind_of


def boxes(*brands: bytes) -> bytes:
    body = b"ftyp" + brands[0] + bytes(4) + b"".join(brands[1:])
    return (len(body) + 4).to_bytes(4, "big") + body + b"\0\0\0\x08free"


@pytest.mark.parametrize(
    ("data", "name", "says"),
    [
        (boxes(b"heic", b"mif1", b"heic"), "HEIC", "pip install 'carscale[heic]'"),
        (boxes(b"mif1", b"heic"), "HEIC", "heic"),
        (boxes(b"msf1", b"hevc"), "HEIC", "heic"),
        (boxes(b"mif1", b"avif"), "AVIF", "JPEG"),
        (boxes(b"avif", b"mif1"), "AVIF", "JPEG"),
        (boxes(b"crx ", b"isom"), "raw", "converter"),
        (boxes(b"isom", b"mp41"), "video", "ffmpeg"),
        (boxes(b"qt  ", b"qt  "), "video", "ffmpeg"),
        (b"RIFF\0\0\0\0AVI LIST", "video", "ffmpeg"),
        (b"\x1aE\xdf\xa3....webm", "video", "ffmpeg"),
        (b"II*\0\x10\0\0\0CR\2\0", "raw", "converter"),
        (b"FUJIFILMCCD-RAW 0201", "raw", "converter"),
        (b"version https://git-lfs.github.com/spec/v1\noid", "git-lfs", "git lfs pull"),
        (b"<!DOCTYPE html><html>404</html>", "HTML", "download"),
        (b"\xef\xbb\xbf \n<HTML>", "HTML", "download"),
        (b"<?xml version='1.0'?>\n<Error><Code>AccessDenied</Code>", "XML", "download"),
        (b"<?xml version='1.0'?>\n<svg xmlns=", "SVG", "JPEG"),
        (b'{"message": "rate limit"}', "JSON", "download"),
        (b"[]", "JSON", "download"),
        (b"%PDF-1.7", "PDF", "pdfimages"),
        (b"PK\3\4", "zip", "unpack"),
        (b"\x1f\x8b\x08", "packed", "unpack"),
        (b"a" * 257 + b"ustar\0", "tar", "unpack"),
        (b"BZh91AY&SY", "packed", "unpack"),
        (b"PK\3\4" + bytes(26) + b"[Content_Types].xml", "office", "CSV UTF-8"),
        (b"8BPS\0\1", "Photoshop", "JPEG"),
        (b"\xff\x0a\xfa", "JPEG XL", "djxl"),
        (b"/9j/4AAQSkZJRg", "base64", "base64 -d"),
        (b"data:image/jpeg;base64,/9j/", "base64", "base64 -d"),
        (b"\0\5\x16\7\0\2", "macOS", "delete"),
        (bytes(5000), "zeros", "copy"),
    ],
)
def test_what_is_no_readable_photo_is_named_with_what_to_do(data, name, says):
    kind = kind_of(data)
    assert name in kind.name
    assert says in kind.remedy


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"path,label\n", b"\xff\xd8", bytes(99) + b"\1", b"MZ ETZ 250"]
)
def test_what_is_not_known_has_no_name(data):
    assert kind_of(data) is None
    assert not is_photo(data)


def test_photos_are_known_by_their_content():
    for kind in ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "JPEG2000", "ICO", "AVIF"):
        sink = io.BytesIO()
        Image.new("RGB", (32, 32), "red").save(sink, kind)
        assert is_photo(sink.getvalue()), kind
    assert is_photo(boxes(b"heic"))
    assert not is_photo(boxes(b"isom"))
    assert (HEIC.is_photo, RAW.is_photo) == (True, True)
