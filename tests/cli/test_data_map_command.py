"""``carscale data map``: the table, the file, what a run changes, what is refused."""

import json
from pathlib import Path

import jobs
import pytest
from photos import draw_photo

from carscale import curate, data

BASE = ["Audi S4 Sedan 2007", "Audi S4 Sedan 2012", "BMW X5 SUV 2007", "Volvo 240 Wagon 1993"]


def draw(root: Path, looks: dict[str, int], count: int, seed: int = 0) -> Path:
    """Draw classes by name, each with the look of a number."""
    for name, look in looks.items():
        for number in range(count):
            draw_photo(root / name / f"{number:02d}.jpg", look, seed + number)
    return root


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("map")
    raw = draw(folder / "raw", {name: look for look, name in enumerate(BASE)}, 20)
    return data.freeze(raw, folder / "base").root


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Photos with the looks of base classes, under names that tell more or less."""
    looks = {
        "audi_s4_saloon": 1,  # a 2012 by its looks, no year in the name
        "bmw/x5_suv_'07": 2,
        "volvo_240_estate_1993": 0,  # a Volvo by name, an Audi by its looks
        "BMW X5 SUV 2015": 2,
        "Audi": 0,
        "Lancia Delta": 3,
    }
    return draw(tmp_path_factory.mktemp("map") / "source", looks, 12, seed=500)


@pytest.fixture(scope="module")
def trained(base, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("trained") / "run"
    jobs.train(base, folder, ("train.num_epochs=12", "augment.policy=none"))
    return folder


def test_a_table_and_a_file_to_edit(carscale, base, source, tmp_path):
    out = tmp_path / "map.yaml"
    code, stdout, stderr = carscale("data", "map", base, source, "-o", out)
    assert code == 0
    lines = [line for line in stdout.splitlines() if line.strip()]
    assert lines[0].split() == ["source", "class", "outcome", "becomes", "score", "reason"]
    assert lines[1].startswith("BMW X5 SUV 2015 ")
    assert "same model, other year: 2015 vs 2007" in lines[1]
    assert len(lines) == 7
    assert "6 source classes: 2 ambiguous, 2 match, 1 make, 1 new\n" in stderr
    assert f"next: carscale data merge {base} {source} --map {out} OUT\n" in stderr
    with data.source_classes(source) as classes:
        found = curate.read_map(out, BASE, list(classes), allow_ambiguous=True)
    assert found.to == {"bmw/x5_suv_'07": BASE[2], "volvo_240_estate_1993": BASE[3]}
    assert set(found.ambiguous) == {"audi_s4_saloon", "BMW X5 SUV 2015"}
    assert out.read_text().count("    photos: 12\n") == 6


def test_json_and_no_file(carscale, base, source, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, stdout, stderr = carscale("data", "map", base, source, "--json")
    rows = {row["source"]: row for row in json.loads(stdout)}
    assert code == 0
    assert rows["Lancia Delta"]["outcome"] == "new"
    assert rows["Audi"]["candidates"] == BASE[:2]
    assert rows["audi_s4_saloon"]["photos"] == 12
    assert "nothing was written; write the map: --out map.yaml" in stderr
    assert not list(tmp_path.iterdir())


def test_a_run_chooses_doubts_and_notes(carscale, base, source, trained, tmp_path):
    code, stdout, stderr = carscale(
        "data", "map", base, source, "--run", trained, "--json", "--num-photos", 10
    )
    assert code == 0
    rows = {row["source"]: row for row in json.loads(stdout)}
    chosen = rows["audi_s4_saloon"]
    assert (chosen["outcome"], chosen["target"]) == ("match", BASE[1])
    assert f"the run sees {BASE[1]} in 10 of 10 photos" in chosen["reason"]
    doubted = rows["volvo_240_estate_1993"]
    assert (doubted["outcome"], doubted["candidates"]) == ("ambiguous", [BASE[3], BASE[0]])
    assert rows["bmw/x5_suv_'07"]["target"] == BASE[2]
    assert rows["BMW X5 SUV 2015"]["outcome"] == "ambiguous"  # another year stays a question
    assert "but the name says another car" in rows["BMW X5 SUV 2015"]["note"]
    assert rows["Audi"]["note"].startswith("the run sees the make in 10 of 10 photos")
    assert rows["Lancia Delta"]["note"] == f"the run sees {BASE[3]} (10) in 10 photos"
    assert curate.EVIDENCE_RULE in stderr


def test_a_frozen_source_gives_its_classes_and_photos(carscale, base, trained, tmp_path):
    pack = data.pack(base, tmp_path / "pack").root
    for source in (base, pack):
        words = ("data", "map", base, source, "--run", trained, "--json", "--num-photos", 3)
        code, stdout, _ = carscale(*words)
        assert code == 0
        rows = json.loads(stdout)
        assert [(row["target"], row["photos"]) for row in rows] == [(name, 20) for name in BASE]


def test_unreadable_files_are_counted(carscale, base, trained, tmp_path):
    source = draw(tmp_path / "source", {"Lancia Delta": 0}, 2)
    (source / "Lancia Delta" / "notes.txt").write_text("no photo")
    (source / "Tata Nano").mkdir()
    (source / "Tata Nano" / "broken.jpg").write_bytes(b"\xff\xd8\xff")
    code, stdout, stderr = carscale("data", "map", base, source, "--run", trained, "--json")
    assert code == 0
    notes = {row["source"]: row["note"] for row in json.loads(stdout)}
    assert notes["Lancia Delta"].endswith("in 2 photos")
    assert notes["Tata Nano"] == "the run saw no photo"
    assert "2 of 4 files can't be decoded" in stderr


def test_a_file_is_replaced_only_by_force(carscale, base, source, tmp_path):
    out = tmp_path / "map.yaml"
    out.write_text("mine")
    code, stdout, stderr = carscale("data", "map", base, source, "--out", out)
    assert (code, stdout, out.read_text()) == (2, "", "mine")
    assert stderr.startswith(f"ConfigError: --out {out}: is there already, perhaps edited\n")
    assert carscale("data", "map", base, source, "--out", out, "--force")[0] == 0
    assert "classes:" in out.read_text()
    code, _, stderr = carscale("data", "map", base, source, "--out", tmp_path / "no" / "map.yaml")
    assert code == 2
    assert f"can't be written: no folder {tmp_path / 'no'}" in stderr


def test_wrong_inputs_are_one_error(carscale, base, source, tmp_path, trained):
    (tmp_path / "empty").mkdir()
    for words, told in [
        ((source, source), "holds no frozen data (no card.json)"),
        ((base, tmp_path / "none"), "none: no such folder"),
        ((base, tmp_path / "empty"), "holds no photos in class folders"),
        ((base, source, "--run", tmp_path / "empty"), "holds no run (no config.yaml)"),
        ((base, source, "--num-photos", 0), "--num-photos"),
    ]:
        code, stdout, stderr = carscale("data", "map", *words)
        assert (code, stdout) == (2, ""), words
        assert told in stderr


def test_a_run_of_other_classes_is_refused(carscale, tiny, source, trained):
    code, _, stderr = carscale("data", "map", tiny, source, "--run", trained)
    assert code == 2
    assert f"{trained}: knows none of the base's 4 classes" in stderr


def test_names_that_are_no_utf8_are_shown_and_kept(carscale, base, tmp_path):
    source = tmp_path / "source"
    draw_photo(source / "plain" / "1.jpg", 0, 0)
    (tmp_path / "source").joinpath("plain").rename(source / "caf\udce9: #1")
    out = tmp_path / "map.yaml"
    assert carscale("data", "map", base, source, "-o", out)[0] == 0
    with data.source_classes(source) as classes:
        found = curate.read_map(out, BASE, list(classes))
    assert list(found.new) == ["caf\\xe9: #1"]


def test_a_terminal_obeys_no_name(carscale, base, tmp_path):
    draw(tmp_path / "web", {"Lancia \x1b[31mDelta": 3, "Seat\x07Leon": 1}, 2)
    code, stdout, _ = carscale("data", "map", base, tmp_path / "web", "-o", tmp_path / "map.yaml")
    assert code == 0
    assert "\x1b" not in stdout
    assert "Lancia \\x1b[31mDelta" in stdout
    assert "Seat\\x07Leon" in stdout
    assert curate.read_map(
        tmp_path / "map.yaml", BASE, ["Lancia \x1b[31mDelta", "Seat\x07Leon"]
    ).new.keys() == {"Lancia \x1b[31mDelta", "Seat\x07Leon"}
