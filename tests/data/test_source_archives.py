"""Zip and tar: class folders inside, and members that are up to something."""

import contextlib
import gzip
import io
import json
import os
import shutil
import struct
import tarfile
import tempfile
import threading
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from frozen_trees import refused_of, rows_of
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import draw_classes

from carscale import data
from carscale.data.sources.open_source import open_source
from carscale.data.sources.packed import zip_and_tar
from carscale.data.sources.packed.archives import scan_members
from carscale.data.sources.packed.zip_and_tar import Member, name_problem
from carscale.data.sources.rows import Reading
from carscale.errors import DataError, DiskError

TARS = ["tar", "gztar", "xztar", "bztar"]


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> Path:
    return draw_classes(tmp_path_factory.mktemp("archives") / "cars", [6, 4])


@pytest.fixture(scope="module")
def photo(folders) -> bytes:
    return (folders / "Make0 Model" / "000.jpg").read_bytes()


def packed(root: Path, place: Path, kind: str) -> Path:
    return Path(shutil.make_archive(str(place / "cars"), kind, root_dir=root))


def write_zip(path: Path, members: dict[str, bytes], **options) -> Path:
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in members.items():
            archive.writestr(zipfile.ZipInfo(name), content)
    return path


def write_tar(path: Path, members: dict[str, bytes | str]) -> Path:
    """Write members; text is a link to that, and a name that ends in a slash a folder."""
    with tarfile.open(path, "w:gz" if path.name.endswith("gz") else "w") as archive:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            if isinstance(content, str):
                info.type = tarfile.LNKTYPE if content.startswith("=") else tarfile.SYMTYPE
                info.linkname = content.lstrip("=")
                archive.addfile(info)
                continue
            info.type = tarfile.DIRTYPE if name.endswith("/") else tarfile.REGTYPE
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def found_in(path: Path) -> tuple[list[str], dict[str, str], list[str]]:
    with open_source(path) as found:
        return [f.relative for f in found.files], dict(found.refused), found.notes


# --- names that lead elsewhere -----------------------------------------------------------------

BAD_NAMES = {
    "../../etc/passwd": "leads out of the archive",
    "Make0/../../x.jpg": "leads out of the archive",
    "/etc/passwd": "absolute path",
    "..\\..\\x.jpg": "backslash in its path",
    "Make0\\1.jpg": "backslash in its path",
    "C:/cars/x.jpg": "names a drive",
    "c:x.jpg": "names a drive",
}


@pytest.mark.parametrize("suffix", ["zip", "tar", "tar.gz"])
def test_members_that_leave_the_root_are_refused(photo, tmp_path, suffix):
    members = {
        "Make0/1.jpg": photo,
        "Make1/1.jpg": photo + b"\0",
        **dict.fromkeys(BAD_NAMES, photo),
    }
    write = write_zip if suffix == "zip" else write_tar
    before = set(tmp_path.rglob("*"))
    source = write(tmp_path / f"cars.{suffix}", members)
    frozen = data.freeze(source, tmp_path / "out")
    assert refused_of(frozen.root) == BAD_NAMES
    assert {row["source"] for row in rows_of(frozen.root)} == {"Make0/1.jpg", "Make1/1.jpg"}
    outside = set(tmp_path.rglob("*")) - before - set((tmp_path / "out").rglob("*"))
    assert outside == {source, tmp_path / "out"}


@given(st.text(max_size=12).map(lambda text: text.replace("a", "../").replace("b", "/")))
def test_no_name_that_is_kept_leads_out(name):
    if name_problem(name) is None:
        whole = Path(os.path.normpath(Path("/root/inside") / name))
        assert whole.is_relative_to("/root/inside")
        assert not name.startswith(("/", "\\"))


# --- members that are no files -----------------------------------------------------------------


def test_links_and_devices_in_a_tar_are_refused(photo, tmp_path):
    path = tmp_path / "cars.tar"
    write_tar(path, {"A/1.jpg": photo, "A/soft.jpg": "/etc/passwd", "A/hard.jpg": "=A/1.jpg"})
    with tarfile.open(path, "a") as archive:
        for name, kind in [("A/pipe.jpg", tarfile.FIFOTYPE), ("A/disk.jpg", tarfile.BLKTYPE)]:
            info = tarfile.TarInfo(name)
            info.type = kind
            archive.addfile(info)
    files, refused, _ = found_in(path)
    assert files == ["A/1.jpg"]
    assert refused == {
        "A/soft.jpg": "a link",
        "A/hard.jpg": "a link",
        "A/pipe.jpg": "no regular file",
        "A/disk.jpg": "no regular file",
    }


def test_links_in_a_zip_are_refused(photo, tmp_path):
    path = write_zip(tmp_path / "cars.zip", {"A/1.jpg": photo})
    with zipfile.ZipFile(path, "a") as archive:
        for name, mode in [("A/soft.jpg", 0o120777), ("A/pipe.jpg", 0o010644)]:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            archive.writestr(info, "/etc/passwd")
    files, refused, _ = found_in(path)
    assert files == ["A/1.jpg"]
    assert refused == {"A/soft.jpg": "a link", "A/pipe.jpg": "no regular file"}


def patch_zip(path: Path, change: Callable[[bytearray, int, int], None], name: str) -> None:
    """Change a member's local and central headers."""
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(path) as archive:
        local = archive.getinfo(name).header_offset
        central = archive.start_dir
        for info in archive.infolist():
            if info.filename == name:
                break
            central += 46 + len(info.filename.encode()) + len(info.extra) + len(info.comment)
    change(content, local, central)
    path.write_bytes(content)


def test_encrypted_members_are_refused(photo, tmp_path):
    path = write_zip(tmp_path / "cars.zip", {"A/1.jpg": photo, "A/2.jpg": photo})

    def encrypt(content: bytearray, local: int, central: int) -> None:
        content[local + 6] |= 1
        content[central + 8] |= 1

    patch_zip(path, encrypt, "A/2.jpg")
    files, refused, _ = found_in(path)
    assert (files, refused) == (["A/1.jpg"], {"A/2.jpg": "encrypted"})
    patch_zip(path, encrypt, "A/1.jpg")
    with pytest.raises(DataError, match=r"2 refused, the first: A/1\.jpg: encrypted"):
        data.freeze(path, tmp_path / "out")


def test_of_members_with_one_name_the_last_counts(photo, tmp_path):
    contents = {"A/1.jpg": b"old", "./A/1.jpg": b"older", "B/1.jpg": photo}
    path = write_zip(tmp_path / "cars.zip", contents)
    path.write_bytes(path.read_bytes().replace(b"B/1.jpg", b"A/1.jpg"))
    with open_source(tmp_path / "cars.zip") as found:
        assert [file.read_bytes() for file in found.files] == [photo]
        assert found.refused == [("A/1.jpg", "the archive holds a later one of this name")] * 2


# --- names without the UTF-8 flag --------------------------------------------------------------


def write_raw_zip(path: Path, members: dict[bytes, bytes], extra=lambda name: b"") -> Path:
    """Write a zip whose names are these bytes, not marked as UTF-8, as macOS does."""
    with zipfile.ZipFile(path, "w") as archive:
        for number, (name, content) in enumerate(members.items()):
            info = zipfile.ZipInfo(str(number).rjust(len(name), "_"))
            info.extra = extra(name)
            archive.writestr(info, content)
    raw = path.read_bytes()
    for number, name in enumerate(members):
        raw = raw.replace(str(number).rjust(len(name), "_").encode(), name)
    path.write_bytes(raw)
    return path


def test_zip_names_that_are_valid_utf8_are_utf8(photo, tmp_path):
    names = ["cars/Citroën C4/0.jpg", "cars/Škoda/0.jpg", "cars/吉利 帝豪/0.jpg"]
    path = write_raw_zip(tmp_path / "mac.zip", {name.encode(): photo for name in names})
    files, refused, notes = found_in(path)
    assert files == sorted(name.removeprefix("cars/") for name in names)
    assert not refused
    assert len(notes) == 1
    with open_source(path) as found:
        assert {file.read_bytes() for file in found.files} == {photo}


def test_zip_names_that_are_no_utf8_are_those_of_the_standard_and_said(photo, tmp_path):
    members = {"Citroën/0.jpg".encode("cp437"): photo, b"Audi/0.jpg": photo}
    files, _, notes = found_in(write_raw_zip(tmp_path / "dos.zip", members))
    assert files == ["Audi/0.jpg", "Citroën/0.jpg"]
    assert notes == [
        "1 names in the zip are no UTF-8 and were read as cp437, the standard of zips; the first: "
        "Citroën/0.jpg"
    ]


def test_zip_names_in_the_unicode_field_count(photo, tmp_path):
    true = "Škoda/0.jpg"

    def field(name: bytes) -> bytes:
        content = struct.pack("<BI", 1, zlib.crc32(name)) + true.encode()
        return struct.pack("<HH", 0x7075, len(content)) + content

    files, _, notes = found_in(
        write_raw_zip(tmp_path / "info.zip", {true.encode("cp1250"): photo}, field)
    )
    assert (files, notes) == ([true], [])


# --- bombs -------------------------------------------------------------------------------------


def test_a_member_that_swells_is_refused(photo, tmp_path):
    members = {"A/1.jpg": photo, "A/bomb.jpg": bytes(17_000_000), "A/white.bmp": bytes(9_000_000)}
    path = write_zip(tmp_path / "cars.zip", {}, compression=zipfile.ZIP_DEFLATED)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    assert path.stat().st_size < 50_000
    files, refused, _ = found_in(path)
    assert files == ["A/1.jpg", "A/white.bmp"]
    assert list(refused) == ["A/bomb.jpg"]
    assert refused["A/bomb.jpg"].startswith("unpacks to 10")  # deflate's limit is 1032


def test_a_member_larger_than_any_photo_is_refused(photo, tmp_path):
    path = write_tar(tmp_path / "cars.tar", {"A/1.jpg": photo})
    with path.open("r+b") as file:
        file.seek(512 + (len(photo) + 511) // 512 * 512)
        info = tarfile.TarInfo("A/huge.jpg")
        info.size = 200_000_001
        file.write(info.tobuf())
        file.truncate(file.tell() + 200_000_512 + 1024)  # zeros that take no room
    files, refused, _ = found_in(path)
    assert (files, refused) == (["A/1.jpg"], {"A/huge.jpg": "200 MB, more than the 200 of a photo"})


def overlapping(path: Path, count: int, num_bytes: int) -> None:
    """Write a zip whose members are all the same compressed bytes."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("A/0000.jpg", bytes(num_bytes))
    content = path.read_bytes()
    with zipfile.ZipFile(path) as archive:
        start = archive.start_dir
    end = content.rindex(b"PK\5\6")
    entries = b"".join(
        content[start:end].replace(b"0000", f"{number:04d}".encode()) for number in range(count)
    )
    tail = bytearray(content[end:])
    tail[8:20] = struct.pack("<HHII", count, count, len(entries), start)
    path.write_bytes(content[:start] + entries + tail)


def test_an_archive_that_swells_is_refused(tmp_path):
    overlapping(tmp_path / "cars.zip", 150, 10_000_000)
    with zipfile.ZipFile(tmp_path / "cars.zip") as archive:
        assert sum(info.file_size for info in archive.infolist()) == 1_500_000_000
    with pytest.raises(DataError, match=r"cars.zip: unpacks to 1.5 GB or more, \d+ times its size"):
        found_in(tmp_path / "cars.zip")
    info = tarfile.TarInfo("A/1.jpg")
    info.size = 40_000_000_000
    (tmp_path / "cars.tar.gz").write_bytes(gzip.compress(info.tobuf(tarfile.GNU_FORMAT)))
    with pytest.raises(DataError, match=r"cars.tar.gz: unpacks to 40.0 GB or more"):
        data.freeze(tmp_path / "cars.tar.gz", tmp_path / "out")


@pytest.mark.parametrize("kind", [tarfile.XHDTYPE, tarfile.GNUTYPE_LONGNAME])
def test_a_header_that_swells_is_refused(tmp_path, kind):
    info = tarfile.TarInfo("x")
    info.type, info.size = kind, 300_000_000
    with gzip.open(tmp_path / "cars.tgz", "wb", compresslevel=1) as file:
        file.write(info.tobuf(tarfile.GNU_FORMAT))
        for _ in range(300):
            file.write(bytes(1_000_448))
    with pytest.raises(DataError, match="a header declares 300000256 bytes"):
        found_in(tmp_path / "cars.tgz")


def test_a_member_that_holds_more_than_it_declares_is_quarantined(photo, tmp_path):
    path = write_zip(tmp_path / "cars.zip", {"A/1.jpg": photo, "A/2.jpg": photo, "B/3.jpg": photo})

    def shrink(content: bytearray, local: int, central: int) -> None:
        for place in (local + 22, central + 24):
            content[place : place + 4] = struct.pack("<I", 100)

    patch_zip(path, shrink, "A/2.jpg")
    frozen = data.freeze(path, tmp_path / "out")
    assert refused_of(frozen.root) == {"A/2.jpg": "can't be read: Bad CRC-32 for file 'A/2.jpg'"}


# --- damage ------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["zip", *TARS])
def test_an_archive_that_is_cut_short_is_one_clear_error(folders, tmp_path, kind):
    path = packed(folders, tmp_path, kind)
    whole = path.read_bytes()
    for cut in [0, 1, 300, 512, 700, len(whole) // 2, len(whole) * 3 // 4]:
        path.write_bytes(whole[:cut])
        with pytest.raises(DataError, match=r"cars.*: is damaged, cut short or no such archive: "):
            data.freeze(path, tmp_path / "out")
    assert [entry.name for entry in tmp_path.iterdir()] == [path.name]


def test_a_tar_is_never_read_in_part_without_a_word(folders, tmp_path):
    path = packed(folders, tmp_path, "tar")
    whole, (wanted, _, _) = path.read_bytes(), found_in(path)
    answers = set()
    for cut in range(0, len(whole) + 1, 512):
        path.write_bytes(whole[:cut])
        try:
            assert found_in(path)[0] == wanted
            answers.add("all")
        except DataError:
            answers.add("error")
    assert answers == {"all", "error"}


@pytest.mark.parametrize("kind", ["tar", "gztar"])
def test_a_broken_header_in_the_middle_is_an_error(photo, tmp_path, kind):
    path = write_tar(tmp_path / "cars.tar", {"A/1.jpg": photo, "A/2.jpg": photo, "B/1.jpg": photo})
    content = bytearray(path.read_bytes())
    second = 512 + (len(photo) + 511) // 512 * 512
    content[second + 148 : second + 156] = b"99999999"  # its checksum
    path.write_bytes(content)
    if kind == "gztar":
        path = tmp_path / "cars.tar.gz"
        path.write_bytes(gzip.compress(bytes(content)))
    with pytest.raises(DataError, match="neither a header nor the end mark follows member 1"):
        found_in(path)


def test_a_damaged_member_of_a_zip_is_quarantined(folders, tmp_path):
    path = packed(folders, tmp_path, "zip")
    with zipfile.ZipFile(path) as archive:
        info = archive.getinfo("Make0 Model/003.jpg")
    content = bytearray(path.read_bytes())
    content[info.header_offset + 200] ^= 255
    path.write_bytes(content)
    frozen = data.freeze(path, tmp_path / "out")
    assert list(refused_of(frozen.root)) == ["Make0 Model/003.jpg"]
    assert refused_of(frozen.root)["Make0 Model/003.jpg"].startswith("can't be read: ")
    assert len(rows_of(frozen.root)) == 9


def test_an_unknown_compression_is_quarantined(photo, tmp_path):
    path = write_zip(tmp_path / "cars.zip", {"A/1.jpg": photo, "A/2.jpg": photo, "B/3.jpg": photo})

    def unknown(content: bytearray, local: int, central: int) -> None:
        content[local + 8] = content[central + 10] = 99

    patch_zip(path, unknown, "A/2.jpg")
    frozen = data.freeze(path, tmp_path / "out")
    assert refused_of(frozen.root)["A/2.jpg"].startswith("can't be read: ")


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_flipped_bytes_never_raise_anything_else(data_of):
    """Damage anywhere is a ``DataError`` or a photo that can't be read, never a crash."""
    kind = data_of.draw(st.sampled_from(["zip", "tar", "tgz"]))
    sink = io.BytesIO()
    contents = {f"A/{number}.jpg": bytes([number]) * 300 for number in range(3)}
    if kind == "zip":
        with zipfile.ZipFile(sink, "w", zipfile.ZIP_DEFLATED) as archive:
            for name, content in contents.items():
                archive.writestr(name, content)
    else:
        with tarfile.open(fileobj=sink, mode="w:gz" if kind == "tgz" else "w") as archive:
            for name, content in contents.items():
                info = tarfile.TarInfo(name)
                info.size = len(content)
                archive.addfile(info, io.BytesIO(content))
    damaged = bytearray(sink.getvalue())
    for place in data_of.draw(st.lists(st.integers(0, min(len(damaged), 2100) - 1), max_size=4)):
        damaged[place] = data_of.draw(st.integers(0, 255))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / f"cars.{kind}"
        path.write_bytes(damaged)
        with contextlib.suppress(DataError), open_source(path) as found:
            for file in found.files:
                with contextlib.suppress(OSError):
                    file.read_bytes()


# --- class folders inside ----------------------------------------------------------------------


def test_one_top_folder_that_is_no_class_is_left_out(folders, tmp_path):
    path = Path(
        shutil.make_archive(
            str(tmp_path / "cars"), "zip", root_dir=folders.parent, base_dir=folders.name
        )
    )
    frozen = data.freeze(path, tmp_path / "out")
    assert (
        frozen.warnings[0] == "all photos lie below cars/, which is no class; classes start there"
    )
    wanted = data.freeze(folders, tmp_path / "wanted")
    assert rows_of(frozen.root) == rows_of(wanted.root)
    assert frozen.card["notes"] == wanted.card["notes"]


def member(name: str, kind: str = "file") -> Member:
    return Member(name, "folder" if name.endswith("/") else kind, lambda: b"")


@pytest.mark.parametrize(
    ("names", "files"),
    [
        (["A/1.jpg"], ["A/1.jpg"]),
        (["A/1.jpg", "A/B/2.jpg"], ["A/1.jpg", "A/B/2.jpg"]),
        (["x/A/1.jpg", "x/README.txt"], ["A/1.jpg"]),
        (["./x/A/1.jpg", "x/B/2.jpg", "__MACOSX/x/._1.jpg", ".DS_Store"], ["A/1.jpg", "B/2.jpg"]),
        (["x/A/1.jpg", "y/B/2.jpg"], ["x/A/1.jpg", "y/B/2.jpg"]),
        (["x/y/A/1.jpg"], ["y/A/1.jpg"]),
        (["x/A/.hidden.jpg", "x/A/Thumbs.db", "x/A/1.jpg"], ["A/1.jpg"]),
    ],
)
def test_classes_start_below_one_top_folder(names, files):
    found = scan_members([member(name) for name in names], Path("x.zip"), Reading())
    assert [file.relative for file in found.files] == files
    assert [file.class_name for file in found.files] == [f.rpartition("/")[0] for f in files]


def test_empty_classes_and_files_without_a_class_are_named():
    names = ["A/1.jpg", "B/", "C/D/", "lost.jpg", "E/link.jpg"]
    members = [member(name, "a link" if "link" in name else "file") for name in names]
    found = scan_members(members, Path("x.zip"), Reading())
    assert found.empty_classes == ["B", "C", "C/D", "E"]
    assert found.refused == [("E/link.jpg", "a link"), ("lost.jpg", "lies in no class folder")]


@pytest.mark.parametrize("names", [[], ["1.jpg"], ["A/"], [".git/x/1.jpg"]])
def test_an_archive_without_class_folders_is_refused(names):
    with pytest.raises(DataError, match=r"x.zip: holds no photos in class folders"):
        scan_members([member(name) for name in names], Path("x.zip"), Reading())


def split_folders(root: Path) -> Path:
    """Write what ``--keep-splits`` has to sort out."""
    draw_classes(root / "train", [4, 3])
    draw_classes(root / "Test", [2])
    draw_classes(root / "extra", [1])
    (root / "train" / "Nothing").mkdir()
    (root / "dev").mkdir()
    (root / "train" / "lost.jpg").write_bytes(b"x")
    (root / "top.jpg").write_bytes(b"x")
    return root


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize("base", [None, "cars"])
def test_split_folders_are_those_of_the_unpacked_archive(tmp_path, kind, base):
    root = split_folders(tmp_path / "cars")
    place = root.parent if base else root
    path = Path(shutil.make_archive(str(tmp_path / "packed"), kind, root_dir=place, base_dir=base))
    with (
        open_source(path, keep_splits=True) as found,
        open_source(root, keep_splits=True) as wanted,
    ):
        for name in ("relative", "class_name", "split"):
            values = [[getattr(file, name) for file in scan.files] for scan in (found, wanted)]
            assert values[0] == values[1]
        assert found.refused == wanted.refused
        assert found.empty_classes == wanted.empty_classes == ["train/Nothing"]


@pytest.mark.parametrize("kind", ["zip", "gztar"])
def test_many_threads_read_the_same_bytes(folders, tmp_path, kind):
    paths = sorted(folders.rglob("*.jpg"))
    with open_source(packed(folders, tmp_path, kind)) as found, ThreadPoolExecutor(8) as pool:
        start = threading.Barrier(8)

        def read(turn: int) -> list[bytes]:
            start.wait()
            files = found.files[turn:] + found.files[:turn]
            contents = [file.read_bytes() for file in files * 5][: len(files)]
            return contents[len(files) - turn :] + contents[: len(files) - turn]

        for contents in pool.map(read, range(8)):
            assert contents == [path.read_bytes() for path in paths]


def test_a_full_disk_is_named(folders, tmp_path, monkeypatch):
    class Full(io.BytesIO):
        def write(self, content: bytes) -> int:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(zip_and_tar.tempfile, "TemporaryFile", lambda dir: Full())
    with pytest.raises(
        DiskError, match=r"unpacked there: can't be written: No space left\D*\n  make"
    ):
        data.freeze(packed(folders, tmp_path, "gztar"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["zip", pytest.param("gztar", marks=pytest.mark.slow)])
def test_odd_photos_in_an_archive_fare_as_in_a_folder(odd, tmp_path, kind):
    for number, path in enumerate(sorted(odd.iterdir())):
        target = tmp_path / "raw" / f"class {number % 3}" / path.name
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    wanted = data.freeze(tmp_path / "raw", tmp_path / "wanted")
    frozen = data.freeze(packed(tmp_path / "raw", tmp_path, kind), tmp_path / "out")
    assert rows_of(frozen.root) == rows_of(wanted.root)
    assert refused_of(frozen.root) == refused_of(wanted.root)
    assert len(refused_of(frozen.root)) > 10
    assert json.dumps(frozen.card["hashes"]) == json.dumps(wanted.card["hashes"])


def test_a_zip_member_whose_name_is_empty_is_passed_over(tmp_path, photo):
    names = {"Audi/1.jpg": photo, "Z": b"x"}
    path = write_zip(tmp_path / "cars.zip", names)
    path.write_bytes(path.read_bytes().replace(b"Zx", b"\0x").replace(b"Z", b"\0"))
    with open_source(path) as found:
        assert [file.relative for file in found.files] == ["Audi/1.jpg"]
