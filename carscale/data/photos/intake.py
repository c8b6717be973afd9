"""Decode a source's photos into a staging folder, and go on there after a kill. N files.

Chosen: a journal line a file, and a fixed record of its looks beside it, in the order of the files;
what both hold is done. Rejected: one table at the end (a kill would lose all of it).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from carscale import files, images, threads
from carscale.data.photos.sample import AHEAD, Sample, decode_file
from carscale.data.sources.scan import SourceFile
from carscale.threads import in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray


A_FOLDER = 1000
"""Files of one staging folder."""
SIGNATURE_BYTES = images.SIGNATURE_PX**2
RECORD_BYTES = 8 + SIGNATURE_BYTES


@dataclass(frozen=True, eq=False)
class Intake:
    """A source's photos, decoded.

    Attributes:
        samples: In the order of the files; their bytes lie in the staging folder.
        hashes_N: Their perceptual hashes, uint64.
        signatures_NSS: Their small grey copies, uint8.
        refused: Relative path and reason of what is no photo.
    """

    samples: list[Sample]
    hashes_N: NDArray[np.uint64]
    signatures_NSS: NDArray[np.uint8]
    refused: list[tuple[str, str]]


class _Taken(NamedTuple):
    """One file: what it became, or why nothing; and how it looks."""

    entry: dict[str, Any]
    looks: bytes


def take_in(
    files: Sequence[SourceFile],
    staging: Path,
    *,
    plan: str,
    advance: Callable[[int], None] = lambda total: None,
) -> Intake:
    """Decode files once, strictly, and put what would be frozen aside.

    Started again with the same plan it goes on behind the last file that it finished; with another
    plan it begins anew.

    Args:
        files: In a fixed order.
        staging: A folder of its own; may hold what was begun.
        plan: What decides on the result, as text.
        advance: Called after each file, also one of before, with the number of all.

    Raises:
        OSError: The staging folder can't be written.
    """
    staging.mkdir(parents=True, exist_ok=True)
    digest = _digest(files, plan)
    begun = _begun(staging, digest, len(files))
    for _ in begun:
        advance(len(files))
    for part in range(len(begun) // A_FOLDER * A_FOLDER, len(files), A_FOLDER):
        (staging / str(part)).mkdir(exist_ok=True)

    def decode(index: int) -> _Taken:
        return _decode(files[index], _place(staging, index))

    with (
        images.quiet_decoders(),
        ThreadPoolExecutor(threads.num_cores(), "carscale-intake") as pool,
        (staging / "journal.jsonl").open("ab") as journal,
        (staging / "looks.bin").open("ab") as looks,
    ):
        todo = range(len(begun), len(files))
        for taken in in_order(pool, decode, todo, ahead=AHEAD):
            looks.write(taken.looks)
            looks.flush()  # before the line that says it is there
            journal.write(json.dumps(taken.entry).encode() + b"\n")
            journal.flush()
            advance(len(files))
    return _read(files, staging)


def _digest(files: Sequence[SourceFile], plan: str) -> str:
    """Return a hash of the plan and of which files there are, with their sizes and times."""
    digest = hashlib.sha256(plan.encode("utf-8", "surrogateescape"))
    for file in files:
        line = f"\n{file.relative}\t{file.class_name}\t{_stamp(file)}"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _stamp(file: SourceFile) -> str:
    """Return a file's size and time; nothing of one inside another."""
    if file.path is None:
        return ""
    try:
        stat = file.path.stat()
    except OSError:
        return ""
    return f"{stat.st_size} {stat.st_mtime_ns}"


def _begun(staging: Path, digest: str, count: int) -> list[dict[str, Any]]:
    """Return the journal of an intake that may go on; cut both files to what is whole."""
    plan, journal, looks = (staging / name for name in ("plan.txt", "journal.jsonl", "looks.bin"))
    known = plan.read_text() if plan.exists() else ""
    if known != digest:
        for path in (journal, looks):
            path.unlink(missing_ok=True)
        files.write_atomic(plan, digest)
        return []
    entries = list(_whole_entries(journal))
    num_looks = looks.stat().st_size // RECORD_BYTES if looks.exists() else 0
    entries = entries[: min(count, num_looks)]
    while entries and not _is_staged(staging, len(entries) - 1, entries[-1]):
        entries.pop()  # written, but lost by a power cut
    kept = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries)
    files.write_atomic(journal, kept)
    if looks.exists():
        with looks.open("r+b") as file:
            file.truncate(len(entries) * RECORD_BYTES)
    return entries


def _whole_entries(journal: Path) -> Iterator[dict[str, Any]]:
    """Yield the journal's lines up to one that a kill tore."""
    if not journal.exists():
        return
    for line in journal.read_bytes().split(b"\n"):
        try:
            yield json.loads(line)
        except ValueError:
            return


def _is_staged(staging: Path, index: int, entry: dict[str, Any]) -> bool:
    """Tell whether a file's bytes lie there in full."""
    if "reason" in entry:
        return True
    try:
        return _place(staging, index).stat().st_size == entry["num_bytes"]
    except OSError:
        return False


def _place(staging: Path, index: int) -> Path:
    """Return where a file's bytes are put."""
    return staging / str(index // A_FOLDER * A_FOLDER) / str(index)


def _decode(file: SourceFile, place: Path) -> _Taken:
    """Decode one file and look at it."""
    place.unlink(missing_ok=True)
    sample = decode_file(file, place, "copy")
    if isinstance(sample, str):
        return _Taken({"reason": sample}, bytes(RECORD_BYTES))
    try:
        seen = images.measure(place.read_bytes())
    except ValueError as error:
        return _Taken({"reason": str(error)}, bytes(RECORD_BYTES))
    entry = {name: getattr(sample, name) for name in ("sha256", "original_sha256", "num_bytes")}
    photo = asdict(sample.photo)
    del photo["content"]
    looks = int(seen.hash).to_bytes(8, "little") + seen.signature.tobytes()
    return _Taken(entry | {"photo": photo}, looks)


def _read(files: Sequence[SourceFile], staging: Path) -> Intake:
    """Return what the journal and the looks hold."""
    entries = list(_whole_entries(staging / "journal.jsonl"))
    looks = np.fromfile(staging / "looks.bin", np.uint8).reshape(-1, RECORD_BYTES)
    samples, rows, refused = [], [], []
    for index, (file, entry) in enumerate(zip(files, entries, strict=True)):
        if "reason" in entry:
            refused.append((file.relative, entry["reason"]))
            continue
        rows.append(index)
        samples.append(
            Sample(
                file,
                _place(staging, index),
                images.Photo(content=b"", **entry["photo"]),
                entry["sha256"],
                entry["original_sha256"],
                entry["num_bytes"],
            )
        )
    held = looks[rows]
    side = images.SIGNATURE_PX
    return Intake(
        samples,
        np.ascontiguousarray(held[:, :8]).view("<u8").reshape(-1).astype(np.uint64),
        np.ascontiguousarray(held[:, 8:]).reshape(-1, side, side),
        refused,
    )
