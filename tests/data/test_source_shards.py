"""WebDataset shards: which tars are some, samples and labels, patterns."""

import io
import json
import tarfile
from pathlib import Path

import pytest
from frozen_trees import refused_of, rows_of
from photos import draw_photo

from carscale import data
from carscale.data.sources.open_source import open_source
from carscale.data.sources.packed.webdataset import expanded
from carscale.errors import DataError


@pytest.fixture(scope="module")
def photo(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("shards") / "1.jpg"
    draw_photo(path, 0, 0)
    return path.read_bytes()


def write(path: Path, members: dict[str, bytes | str | object]) -> Path:
    """Write members: bytes, text, or what becomes JSON."""
    path.parent.mkdir(exist_ok=True)
    with tarfile.open(path, "w") as archive:
        for name, value in members.items():
            if not isinstance(value, bytes):
                value = (value if isinstance(value, str) else json.dumps(value)).encode()
            info = tarfile.TarInfo(name)
            info.size = len(value)
            archive.addfile(info, io.BytesIO(value))
    return path


def found_in(spec: str | Path, **columns: str) -> tuple[dict[str, str], dict[str, str]]:
    with open_source(spec, **columns) as found:
        return {f.relative: f.class_name for f in found.files}, dict(found.refused)


@pytest.mark.parametrize(
    ("label", "name"),
    [
        ({"cls": "7"}, "7"),
        ({"cls": "007\n"}, "007"),
        ({"cls": "Audi A4 2012"}, "Audi A4 2012"),
        ({"txt": " Audi\n"}, "Audi"),
        ({"json": {"label": "Audi", "x": 1}}, "Audi"),
        ({"json": {"class": 3}}, "3"),
        ({"cls": "Audi", "txt": "a photo of a car", "json": {"label": "x"}}, "Audi"),
        ({"txt": "caption", "json": {"label": "Audi"}}, "Audi"),
        ({"txt": "Audi", "json": {"width": 3}}, "Audi"),
    ],
)
@pytest.mark.parametrize("kind", ["jpg", "jpeg", "PNG", "webp", "image.jpg", "tif", "HEIC"])
def test_labels_come_in_three_forms(photo, tmp_path, label, name, kind):
    members = {f"0001.{kind}": photo, **{f"0001.{part}": text for part, text in label.items()}}
    assert found_in(write(tmp_path / "cars.tar", members)) == ({f"0001.{kind}": name}, {})
    assert found_in(write(tmp_path / "all" / "cars.tar", members).parent)[0] == {
        f"0001.{kind}": name
    }


def test_samples_that_can_not_be_used_are_refused(photo, tmp_path):
    members = {
        "good.jpg": photo,
        "good.cls": "Audi",
        "bare.jpg": photo,
        "lone.cls": "Audi",
        "none.jpg": photo,
        "none.cls": "-1",
        "two.left.jpg": photo,
        "two.right.jpg": photo,
        "two.cls": "Audi",
        "torn.jpg": photo,
        "torn.json": "{",
        "list.jpg": photo,
        "list.json": ["Audi"],
        "many.jpg": photo,
        "many.json": {"label": ["Audi", "BMW"]},
        "bytes.jpg": photo,
        "bytes.cls": b"\xff\xfe",
        "story.jpg": photo,
        "story.txt": "first line\nsecond line",
        "deep.jpg": photo,
        "deep.json": "[" * 100_000,
        "../out.jpg": photo,
    }
    files, refused = found_in(write(tmp_path / "cars.tar", members))
    assert files == {"good.jpg": "Audi"}
    assert refused.pop("../out.jpg") == "leads out of the archive"
    says = {
        "bare": "no label: no .cls or .json or .txt with one",
        "lone": "no photo among: cls",
        "none": "label -1 stands for no class",
        "two": "several photos (left.jpg, right.jpg, cls): choose with --image-column",
        "torn": "label can't be read: .json: ",
        "list": "no label: ",
        "many": "label is a list, not one name",
        "bytes": "label can't be read: .cls: ",
        "story": "label is a text of 22 letters, no class name",
        "deep": "label can't be read: .json: ",
    }
    assert refused.keys() == says.keys()
    for base, reason in says.items():
        assert refused[base].startswith(f"cars.tar: {reason}"), base


def test_a_photo_and_a_key_of_the_json_can_be_chosen(photo, tmp_path):
    members = {"1.left.jpg": photo, "1.right.jpg": b"x", "1.json": {"make": "Audi", "label": "x"}}
    path = write(tmp_path / "all" / "cars.tar", members)
    assert found_in(path.parent, image_column="left.jpg", label_column="make") == (
        {"1.left.jpg": "Audi"},
        {},
    )
    assert found_in(path.parent, image_column="right.jpg", label_column="json")[0] == {
        "1.right.jpg": "x"
    }


def test_names_that_meet_in_two_shards_are_numbered(photo, tmp_path):
    for number in range(3):
        write(tmp_path / f"cars-{number}.tar", {"0.jpg": photo, "0.cls": f"Make{number}"})
    assert found_in(str(tmp_path / "cars-{0..2}.tar"))[0] == {
        "0.jpg": "Make0",
        "0~2.jpg": "Make1",
        "0~3.jpg": "Make2",
    }


def test_class_folders_with_notes_beside_photos_stay_class_folders(photo, tmp_path):
    members = {"Audi/1.jpg": photo, "Audi/1.txt": "0 0.5 0.5 1 1", "BMW/2.jpg": photo + b"\0"}
    frozen = data.freeze(write(tmp_path / "cars.tar", members), tmp_path / "out")
    assert {row["class"] for row in rows_of(frozen.root)} == {"Audi", "BMW"}
    assert refused_of(frozen.root) == {"Audi/1.txt": "no image"}


def test_a_source_without_labels_is_one_clear_error(photo, tmp_path):
    path = write(tmp_path / "all" / "cars.tar", {"1.jpg": photo, "2.jpg": photo})
    with pytest.raises(
        DataError, match=r"none of 2 samples can be used; the first: 1: cars.tar: no label"
    ):
        data.freeze(path.parent, tmp_path / "out")
    with pytest.raises(DataError, match=r"cars.tar: holds no photos in class folders; 2 refused"):
        data.freeze(path, tmp_path / "out")
    write(path, {})
    with pytest.raises(DataError, match="holds no samples"):
        data.freeze(path.parent, tmp_path / "out")


def test_a_shard_that_is_cut_short_is_named(photo, tmp_path):
    for number in range(3):
        write(tmp_path / f"cars-{number}.tar", {"0.jpg": photo, "0.cls": "Audi"})
    whole = (tmp_path / "cars-1.tar").read_bytes()
    (tmp_path / "cars-1.tar").write_bytes(whole[:700])
    with pytest.raises(DataError, match=r"cars-1.tar: is damaged, cut short"):
        data.freeze(str(tmp_path / "*.tar"), tmp_path / "out")


def test_patterns_are_filled_in_as_shells_do(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    names = ["cars-08.tar", "cars-09.tar", "cars-10.tar", "vans-1.tgz", "[x].tar"]
    for name in names:
        Path(name).write_bytes(b"")

    def of(pattern: str) -> list[str]:
        return [path.name for path in expanded(pattern)]

    assert of("cars-{08..10}.tar") == names[:3]
    assert of("cars-*.tar") == of("cars-{08,09,1?}.tar") == names[:3]
    assert of("{cars-09.tar,vans-1.tgz}") == ["cars-09.tar", "vans-1.tgz"]
    assert of("*-{10,1}.t*") == ["cars-10.tar", "vans-1.tgz"]
    for pattern, says in [
        ("cars-{10..8}.tar", "names no file"),
        ("cars-{08..11}.tar", "cars-11.tar"),
    ]:
        with pytest.raises(DataError, match=says):
            of(pattern)


def test_dots_in_names_lose_no_sample(photo, tmp_path):
    """WebDataset ends a name at its first dot; here the labels say that it goes on."""
    members: dict[str, bytes | str | object] = {}
    for number in range(3):
        for engine in ("A4 1.8 T", "A4 2.0 TDI"):
            members |= {f"{engine}.{number}.jpg": photo, f"{engine}.{number}.cls": engine}
    members |= {"plain.jpg": photo, "plain.json": {"label": "Golf"}, "A4 2.0 TDI.9.jpg": photo}
    with open_source(write(tmp_path / "cars.tar", members)) as found:
        assert {f.relative: f.class_name for f in found.files} == {
            **{f"A4 1.8 T.{n}.jpg": "A4 1.8 T" for n in range(3)},
            **{f"A4 2.0 TDI.{n}.jpg": "A4 2.0 TDI" for n in range(3)},
            "plain.jpg": "Golf",
        }
        assert [note for note in found.notes if note.startswith("6 names of samples hold dots")]
        assert found.refused == [
            ("A4 2.0 TDI.9", "cars.tar: no label: no .cls or .json or .txt with one")
        ]
    views = {"1.left.jpg": photo, "1.right.jpg": photo, "1.cls": "Audi", "1.left.json": {}}
    assert found_in(write(tmp_path / "views.tar", views), image_column="left.jpg") == (
        {"1.left.jpg": "Audi"},
        {},
    )


def test_two_photos_whose_names_differ_in_case_are_not_one(photo, tmp_path):
    members = {"1.jpg": photo, "1.JPG": photo, "1.cls": "Audi", "2.jpg": photo, "2.cls": "BMW"}
    samples, refused = found_in(write(tmp_path / "cars.tar", members))
    assert samples == {"2.jpg": "BMW"}
    assert "several photos (jpg, JPG, cls)" in refused["1"]
