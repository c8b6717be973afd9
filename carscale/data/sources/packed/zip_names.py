"""Names in zips: many programs write UTF-8 and don't say so, as macOS does.

A name without the UTF-8 flag is cp437 by the standard, which gives any bytes letters. UTF-8 is
unlikely to be anything else, so bytes that are valid UTF-8 are UTF-8.
"""

from __future__ import annotations

import struct
import zipfile
import zlib

UTF8_FLAG = 0x800
UNICODE_PATH = 0x7075
"""Extra field with the name in UTF-8, as Info-ZIP writes it."""


def zip_name(info: zipfile.ZipInfo) -> tuple[str, bool]:
    """Return a member's name, and whether it had to be guessed.

    Example:
        >>> zip_name(zipfile.ZipInfo("Citro\u00ebn C4".encode().decode("cp437")))
        ('Citroën C4', False)
    """
    if info.flag_bits & UTF8_FLAG or info.orig_filename.isascii():
        return info.filename, False
    stored = info.orig_filename.encode("cp437", "replace")
    try:
        name = _unicode_path(info.extra, stored) or stored.decode()
    except UnicodeDecodeError:
        return info.filename, True
    return name.split("\0")[0], False


def _unicode_path(extra: bytes, stored: bytes) -> str:
    """Return the name in a member's extra fields where it is that of the stored name."""
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        if kind == UNICODE_PATH and len(field) > 5 and field[0] == 1:
            is_same = struct.unpack_from("<I", field, 1)[0] == zlib.crc32(stored)
            return field[5:].decode() if is_same else ""
    return ""
