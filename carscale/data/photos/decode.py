"""Decode and measure a source's photos into a scratch folder, and go on there after a kill.

The one way from a file to a frozen photo: a file is read once, decoded strictly, converted where a
reader would trip, and measured. Axes: N photos.

Chosen: a journal line a file, and a fixed record of its statistics, in the order of the files; what
both hold is done. Rejected: one table at the end (a kill would lose all of it).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from carscale import contained, disk, files, images, threads
from carscale.data.photos.sample import Sample
from carscale.data.sources.open_source import local_paths
from carscale.data.sources.scan import SourceFile
from carscale.threads import in_order

if TYPE_CHECKING:
    from numpy.typing import NDArray


AHEAD = 256
"""Files in flight; bounds memory."""
FOLDER_SIZE = 1000
"""Files of one folder of the scratch folder."""


class DecodedPhoto(NamedTuple):
    """A photo as it will be frozen, and its statistics.

    Attributes:
        photo: The bytes to freeze, and how they differ from the original.
        stats: ``None`` where the decoder that measures can't read it.
        problem: Why not.
    """

    photo: images.Photo
    stats: images.PhotoStats | None
    problem: str = ""


@dataclass(frozen=True, eq=False)
class DecodedFiles:
    """A source's photos, decoded and measured.

    Attributes:
        samples: In the order of the files; their bytes lie in the scratch folder.
        stats_N: Their statistics, of ``images.STATS_DTYPE``.
        refused: Relative path and reason of what is no photo.
        unmeasured: Why a sample could not be measured, by its row.
    """

    samples: list[Sample]
    stats_N: NDArray[Any]
    refused: list[tuple[str, str]]
    unmeasured: dict[int, str]

    def measured(self) -> DecodedFiles:
        """Return the same without what could not be measured, which is refused."""
        if not self.unmeasured:
            return self
        rows = [row for row in range(len(self.samples)) if row not in self.unmeasured]
        gone = [(self.samples[row].file.relative, why) for row, why in self.unmeasured.items()]
        samples = [self.samples[row] for row in rows]
        return DecodedFiles(samples, self.stats_N[rows], self.refused + gone, {})


def decode_photo(data: bytes, box: images.Box | None = None) -> DecodedPhoto:
    """Decode a file's bytes strictly, convert what would trip a reader, and measure the result.

    Args:
        data: The bytes.
        box: What is cut out.

    Raises:
        BadPhotoError: They are no whole photo, or have no such box.
    """
    photo = images.read_photo(data, box)
    try:
        return DecodedPhoto(photo, images.measure(photo.content))
    except ValueError as error:
        return DecodedPhoto(photo, None, " ".join(str(error).split()) or type(error).__name__)


def decode_files(
    files: Sequence[SourceFile],
    scratch: Path,
    *,
    spec: str | Path,
    plan: str = "",
    link: str = "copy",
    advance: Callable[[int], None] = lambda total: None,
) -> DecodedFiles:
    """Decode and measure files once, and put what will be frozen into the scratch folder.

    Started again with the same files, plan and link it goes on behind the last file that it
    finished; else it begins anew.

    Args:
        files: In a fixed order.
        scratch: A folder of its own; may hold what was begun.
        spec: The source that they are of.
        plan: What else decides on the result, as text.
        link: ``copy``, or ``hard`` to share bytes with the source where they are kept.
        advance: Called after each file, also one of before, with the number of all.

    Raises:
        OSError: The scratch folder can't be written.
    """
    scratch.mkdir(parents=True, exist_ok=True)
    num_done = _resumed(scratch, _digest(files, spec, f"{plan} {link}"), len(files))
    for _ in range(num_done):
        advance(len(files))
    for part in range(num_done // FOLDER_SIZE * FOLDER_SIZE, len(files), FOLDER_SIZE):
        (scratch / str(part)).mkdir(exist_ok=True)

    def decode(index: int) -> tuple[dict[str, Any], NDArray[Any]]:
        return _decode_file(files[index], _place(scratch, index), link)

    with (
        images.quiet_decoders(),
        ThreadPoolExecutor(threads.num_cores(), "carscale-decode") as pool,
        (scratch / "journal.jsonl").open("ab") as journal,
        (scratch / "stats.bin").open("ab") as stats,
    ):
        todo = range(num_done, len(files))
        for entry, record in in_order(pool, decode, todo, ahead=AHEAD):
            stats.write(record.tobytes())
            stats.flush()  # before the line that says it is there
            journal.write(json.dumps(entry).encode() + b"\n")
            journal.flush()
            advance(len(files))
    return _read(files, scratch)


def bytes_to_freeze(files: Sequence[SourceFile], spec: str | Path, link: str = "copy") -> int:
    """Return about how much room a source's photos take; 0 where it is not on this machine."""
    if any(file.path is None for file in files):  # they lie in archives, shards, tables
        paths = [path for path in local_paths(spec) if path.exists()]
        return sum(disk.bytes_in(path) if path.is_dir() else path.stat().st_size for path in paths)
    cut = {file.path: None for file in files if file.path and file.box}  # a photo once
    whole = [file.path for file in files if file.path and not file.box and link != "hard"]
    sizes = (path.stat().st_size for path in (*whole, *cut) if path.exists())
    return sum(size for size in sizes if size <= contained.MAX_PHOTO_BYTES)  # no larger one joins


def _digest(files: Sequence[SourceFile], spec: str | Path, plan: str) -> str:
    """Return a hash of the plan and of which files there are, with their sizes and times."""
    plan = f"{plan} {images.MEASURE_VERSION} {images.STATS_DTYPE.descr}"
    digest = hashlib.sha256(plan.encode("utf-8", "surrogateescape"))
    for file in files:
        line = f"\n{file.relative}\t{file.class_name}\t{_stamp(file.path)}\t{file.box!r}"
        digest.update(line.encode("utf-8", "surrogateescape"))
    if any(file.path is None for file in files):  # they lie in archives, shards, tables
        for path in local_paths(spec):
            inside = sorted(path.rglob("*")) if path.is_dir() else []
            for part in (path, *inside):
                digest.update(f"\n{part}\t{_stamp(part)}".encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _stamp(path: Path | None) -> str:
    """Return a file's size and time; empty without one."""
    try:
        stat = None if path is None else path.stat()
    except OSError:
        return ""
    return "" if stat is None else f"{stat.st_size} {stat.st_mtime_ns}"


def _resumed(scratch: Path, digest: str, count: int) -> int:
    """Return how many files are done; cut journal and statistics to what is whole."""
    plan, journal, stats = (scratch / name for name in ("plan.txt", "journal.jsonl", "stats.bin"))
    known = plan.read_text(encoding="utf-8") if plan.exists() else ""
    if known != digest:
        for path in (journal, stats):
            path.unlink(missing_ok=True)
        files.write_atomic(plan, digest)
        return 0
    entries = list(_whole_entries(journal))
    num_records = stats.stat().st_size // images.STATS_DTYPE.itemsize if stats.exists() else 0
    num_done = min(count, num_records, len(entries))
    for index, entry in enumerate(entries[:num_done]):
        if not _is_staged(scratch, index, entry):  # written, but lost by a power cut
            num_done = index
            break
    kept = b"".join(json.dumps(entry).encode() + b"\n" for entry in entries[:num_done])
    files.write_atomic(journal, kept)
    if stats.exists():
        with stats.open("r+b") as file:
            file.truncate(num_done * images.STATS_DTYPE.itemsize)
    return num_done


def _whole_entries(journal: Path) -> Iterator[dict[str, Any]]:
    """Yield the journal's lines up to one that a kill cut short."""
    if not journal.exists():
        return
    for line in journal.read_bytes().split(b"\n"):
        try:
            yield json.loads(line)
        except ValueError:
            return


def _is_staged(scratch: Path, index: int, entry: dict[str, Any]) -> bool:
    """Tell whether a file's bytes lie there in full."""
    if "reason" in entry:
        return True
    try:
        return _place(scratch, index).stat().st_size == entry["num_bytes"]
    except OSError:
        return False


def _place(scratch: Path, index: int) -> Path:
    """Return where a file's bytes are put."""
    return scratch / str(index // FOLDER_SIZE * FOLDER_SIZE) / str(index)


def _decode_file(file: SourceFile, place: Path, link: str) -> tuple[dict[str, Any], NDArray[Any]]:
    """Decode and measure one file; return its journal entry and its statistics."""
    record = images.empty_stats(1)
    place.unlink(missing_ok=True)
    try:
        data = file.read_whole()
    except OSError as error:
        return {"reason": f"can't be read: {error.strerror or error}"}, record
    try:
        photo, stats, problem = decode_photo(data, file.box)
    except images.BadPhotoError as error:
        return {"reason": str(error)}, record
    if stats is not None:
        record[0] = stats
    original = hashlib.sha256(data).hexdigest()
    frozen = hashlib.sha256(photo.content).hexdigest() if photo.normalised else original
    if link == "hard" and file.path and not photo.normalised:
        place.hardlink_to(file.path.resolve())
    else:
        place.write_bytes(photo.content)
    entry = {"sha256": frozen, "original_sha256": original, "num_bytes": len(photo.content)}
    about = asdict(replace(photo, content=b""))
    del about["content"]
    return entry | {"photo": about} | ({"problem": problem} if problem else {}), record


def _read(files: Sequence[SourceFile], scratch: Path) -> DecodedFiles:
    """Return what the journal and the statistics hold."""
    stats_F = np.fromfile(scratch / "stats.bin", images.STATS_DTYPE)
    samples: list[Sample] = []
    rows: list[int] = []
    refused: list[tuple[str, str]] = []
    unmeasured: dict[int, str] = {}
    entries = _whole_entries(scratch / "journal.jsonl")
    for index, (file, entry) in enumerate(zip(files, entries, strict=True)):
        if "reason" in entry:
            refused.append((file.relative, entry["reason"]))
            continue
        if "problem" in entry:
            unmeasured[len(rows)] = entry["problem"]
        rows.append(index)
        samples.append(
            Sample(
                file,
                _place(scratch, index),
                images.Photo(content=b"", **entry["photo"]),
                entry["sha256"],
                dict(file.known).get("original_sha256", entry["original_sha256"]),
                entry["num_bytes"],
            )
        )
    return DecodedFiles(samples, stats_F[rows] if refused else stats_F, refused, unmeasured)
