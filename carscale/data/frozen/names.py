"""Names of files and folders that no reader trips over."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable

UNSAFE = re.compile(r'[%$/\\*?\[\]:"<>|\x00-\x1f\x7f\ud800-\udfff]')
"""What a glob, a URL, a shell, another file system or a Parquet string takes for something else."""

SPLIT_WORD = re.compile(
    r"(?<![^-._ 0-9])"
    r"(train|training|validation|valid|dev|val|test|testing|eval|evaluation)"
    r"(?![^-._ 0-9])"
)
"""Words that make HF ``datasets`` put a folder into a split, as its patterns find them."""

CLUTTER = frozenset(
    (
        *("thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "truth.json"),
        *("@eadir", "#recycle", "@recycle", "@recently-snapshot", "$recycle.bin", "recycler"),
        *("system volume information", "lost+found", "__macosx", "__pycache__"),
    )
)
"""Files and folders that systems leave among photos, lower case: desktops, NAS, archives."""

RESERVED = re.compile(
    r"(con|prn|aux|nul|(?:com|lpt)[0-9\u00b9\u00b2\u00b3])(?= *(?:\.|$))", re.IGNORECASE
)
"""Names that are devices to Windows, whatever follows a dot."""

MAX_NAME_BYTES = 200
"""File systems allow 255; a suffix has to fit."""


def safe_name(name: str) -> str:
    """Return a name that every reader takes for just a name; ``urllib``'s ``unquote`` reverses it.

    Percent-encoded: ``/``, what a glob or Windows reads as more than a letter, a leading ``.`` or
    ``_``, a trailing ``.`` or blank, the last letter of a word that HF ``datasets`` takes for a
    split, and the first of a device of Windows or of what systems leave.

    Example:
        >>> safe_name("audi/a4"), safe_name("ford_test"), safe_name("dev-car"), safe_name("_x.")
        ('audi%2Fa4', 'ford_tes%74', 'de%76-car', '%5Fx%2E')
        >>> safe_name("nul.jpg"), safe_name("lost+found")
        ('%6Eul.jpg', '%6Cost+found')
    """
    safe = UNSAFE.sub(lambda found: _percent(found[0]), name)
    if safe[:1] in (".", "_", " ") or RESERVED.match(safe) or safe.casefold() in CLUTTER:
        safe = _percent(safe[0]) + safe[1:]
    if safe[-1:] in (".", " "):
        safe = safe[:-1] + _percent(safe[-1])
    while found := SPLIT_WORD.search(safe):
        last = found.end() - 1
        safe = safe[:last] + _percent(safe[last]) + safe[last + 1 :]
    return safe


def is_clutter(path: str) -> bool:
    """Tell whether a part of a path is hidden or what a system leaves: no reader takes it.

    Example:
        >>> is_clutter("a4/Thumbs.db"), is_clutter("a4/.git/x"), is_clutter("a4/1.jpg")
        (True, True, False)
    """
    parts = path.split("/")
    return any(part.startswith((".", "~$")) or part.casefold() in CLUTTER for part in parts)


def unique_folders(names: Iterable[str]) -> dict[str, str]:
    """Return a folder for each class name; they differ even where case does not count.

    Example:
        >>> unique_folders(["Audi", "audi"])
        {'Audi': 'Audi', 'audi': '%61udi'}
    """
    folders: dict[str, str] = {}
    taken: set[str] = set()
    for name in sorted(names):
        folder = shortened(safe_name(name))
        num_encoded = 0
        while folded(folder) in taken:  # encode one more letter until it differs
            num_encoded += 1
            head, rest = name[:num_encoded], name[num_encoded:]
            folder = shortened(_percent(head) + safe_name(rest))
        taken.add(folded(folder))
        folders[name] = folder
    return folders


def shortened(safe: str, *, suffix: str = "") -> str:
    """Cut a safe name that file systems would refuse; a hash keeps it apart from others.

    Args:
        safe: What ``safe_name`` returned.
        suffix: What a cut name ends in.
    """
    data = safe.encode()
    if len(data) <= MAX_NAME_BYTES:
        return safe
    end = f"~{hashlib.sha256(data).hexdigest()[:12]}{suffix}"
    head = data[: MAX_NAME_BYTES - len(end.encode())].decode(errors="ignore")
    return re.sub(r"%[0-9A-F]?$", "", head) + end


def folded(name: str) -> str:
    """Return what two names share on a file system that ignores case or normalises Unicode."""
    return unicodedata.normalize("NFC", name).casefold()


def _percent(letters: str) -> str:
    """Return letters as ``%XX`` bytes; bytes that are no UTF-8 come back as they were."""
    return "".join(f"%{byte:02X}" for byte in letters.encode("utf-8", "surrogateescape"))
