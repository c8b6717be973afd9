"""``carscale data``: what comes out, what is said, and the exit codes 0, 1 and 2."""

import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from photos import draw_classes
from PIL import Image

from carscale import data


@pytest.fixture(scope="module")
def raw(tmp_path_factory) -> Path:
    return draw_classes(tmp_path_factory.mktemp("cli") / "raw", [12, 6, 1])


def test_freeze_prints_the_folder_and_notes(carscale, raw, tmp_path):
    (raw / "Make0 Model" / "notes.txt").write_text("x")
    out = tmp_path / "frozen"
    code, stdout, stderr = carscale("data", "freeze", raw, out)
    assert (code, stdout) == (0, f"{out}\n")
    assert "3 classes: 13 train, 3 val, 3 test; 0 converted, 1 quarantined" in stderr
    assert "note: 1 file in quarantine.jsonl: Make0 Model/notes.txt (no image)" in stderr
    assert "note: classes of one photo, in train only: Make2 Model" in stderr
    assert data.verify(out, mode="full") == 19


def test_freeze_names_classes_that_train_lacks(carscale, raw, tmp_path):
    source = tmp_path / "raw"
    for split, name in [("train", "Make0 Model"), ("test", "Make1 Model")]:
        (source / split).mkdir(parents=True)
        (source / split / name).symlink_to(raw / name, target_is_directory=True)
    code, _, stderr = carscale(
        "data", "freeze", source, tmp_path / "frozen", "--keep-splits", "--follow-links"
    )
    assert code == 0
    assert "note: 1 classes without a photo in train, never to be learned: Make1 Model" in stderr


def test_freeze_takes_every_option(carscale, raw, tmp_path):
    out = tmp_path / "frozen"
    words = ["--fractions", "0.5,0.25,0.25", "--seed", 4, "--group-by", r"/(\d\d)\d\.jpg"]
    words += ["--long-tail", "6:1", "--link", "hard"]
    assert carscale("data", "freeze", raw, out, *words)[0] == 0
    card = json.loads((out / "card.json").read_text())
    assert card["seed"] == 4
    assert card["rule"] == {
        "fractions": [0.5, 0.25, 0.25],
        "group_by": r"/(\d\d)\d\.jpg",
        "long_tail": [6, 1],
        "keep_splits": False,
        "near_duplicates": "group",
    }
    assert any(path.stat().st_nlink == 2 for path in out.glob("train/*/*.jpg"))
    assert carscale("data", "freeze", raw, out, "--force", "--seed", 5)[0] == 0
    assert json.loads((out / "card.json").read_text())["seed"] == 5
    draw_classes(tmp_path / "given" / "train", [3, 2])
    draw_classes(tmp_path / "given" / "test", [1, 1])
    code, stdout, _ = carscale(
        "data", "freeze", tmp_path / "given", tmp_path / "g", "--keep-splits"
    )
    assert (code, stdout) == (0, f"{tmp_path}/g\n")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--fractions", "0.7,0.3"], "ConfigError: --fractions"),
        (["--fractions", "a,b,c"], "ConfigError: --fractions"),
        (["--fractions", "0.7,0.7,0.7"], "sum to 1"),
        (["--fractions", "nan,0,1"], "ConfigError: --fractions"),
        (["--long-tail", "5"], "ConfigError: --long-tail '5': must be MOST:LEAST"),
        (["--long-tail", "5:x"], "for example: --long-tail 40:5"),
        (["--long-tail", "5:9"], "ConfigError: --long-tail 5:9"),
        (["--link", "soft"], "ConfigError: --link soft: must be copy or hard"),
        (["--group-by", "("], "is no regular expression"),
        (["--group-by", "zzz"], "DataError: "),
        (["--keep-splits"], "DataError: "),
        (["--sed", "3"], "No such option"),
        (["--seed", "x"], "Invalid value"),
    ],
)
def test_freeze_exits_2_when_a_word_is_wrong(carscale, raw, tmp_path, words, says):
    code, stdout, stderr = carscale("data", "freeze", raw, tmp_path / "frozen", *words)
    assert (code, stdout) == (2, "")
    assert says in stderr
    assert "Traceback" not in stderr
    assert not list(tmp_path.iterdir())


def test_freeze_exits_2_when_the_folders_are_wrong(carscale, raw, tmp_path):
    code, _, stderr = carscale("data", "freeze", tmp_path / "nowhere", tmp_path / "out")
    assert code == 2
    assert stderr.endswith(f"DataError: {tmp_path}/nowhere: no such folder\n")
    (tmp_path / "empty").mkdir()
    code, _, stderr = carscale("data", "freeze", tmp_path / "empty", tmp_path / "out")
    assert code == 2
    assert "put each class's photos in a folder of its name" in stderr
    assert carscale("data", "freeze", raw, tmp_path / "out")[0] == 0
    code, stdout, stderr = carscale("data", "freeze", raw, tmp_path / "out")
    assert (code, stdout) == (2, "")
    assert "is there already; frozen data stay as they are" in stderr
    assert "replace it with: --force" in stderr


def test_freeze_takes_sources_of_other_kinds(carscale, raw, tmp_path):
    table = tmp_path / "cars.tsv"
    rows = [f"{path}\t{path.parent.name}\n" for path in sorted(raw.rglob("*.jpg"))]
    table.write_text("photo\tcar\n" + "".join(rows) + "gone.jpg\tx\n")
    code, stdout, stderr = carscale("data", "freeze", table, tmp_path / "out")
    assert (code, stdout) == (2, "")
    assert stderr.endswith(
        f"DataError: {table}: its first line names no known column: photo | car\n"
        "  choose with: --image-column NAME --label-column NAME\n"
        "  if it is no names but a row, by positions: --image-column 1 --label-column 2\n"
    )
    words = ["--image-column", "photo", "--label-column", "car"]
    outside = [*words, "--follow-links"]  # the table lies elsewhere
    code, stdout, stderr = carscale("data", "freeze", table, tmp_path / "out", *outside)
    assert (code, stdout) == (0, f"{tmp_path}/out\n")
    assert "note: 1 file in quarantine.jsonl: gone.jpg (row 21: no such file)" in stderr
    assert "3 classes: 13 train, 3 val, 3 test" in stderr
    code, _, stderr = carscale("data", "freeze", "hf://no/such/set/here", tmp_path / "hub")
    assert (code, stderr.count("DataError: hf://no/such/set/here: no such path")) == (2, 1)
    code, _, stderr = carscale("data", "freeze", raw, tmp_path / "columns", *words)
    assert code == 2
    assert f"ConfigError: --image-column photo: {raw} has class folders, no columns" in stderr


def test_check_shows_classes_and_the_lock(carscale, tiny, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", os.fspath(tmp_path))
    code, stdout, _ = carscale("data", "check", tiny)
    assert code == 0
    lines = stdout.splitlines()
    assert lines[0].split() == ["class", "train", "val", "test"]
    assert [line.split()[0] for line in lines[1:5]] == ["Make0", "Make1", "Make2", "Make3"]
    assert "4 classes, 56 photos; imbalance ratio in train" in stdout
    assert "the lock matches (56 photos hashed)" in stdout
    assert "(0 photos hashed)" in carscale("data", "check", tiny)[1]
    assert "(56 photos hashed)" in carscale("data", "check", tiny, "--full")[1]


def test_check_prints_json(carscale, tiny):
    code, stdout, _ = carscale("data", "check", tiny, "--json")
    assert code == 0
    found = json.loads(stdout)
    assert found["root"] == str(tiny)
    assert [row["class"] for row in found["classes"]] == [f"Make{k} Model" for k in range(4)]
    splits = data.read_splits(tiny)
    for row, count in zip(found["classes"], splits.train.counts_K, strict=True):
        assert row["train"] == count
    assert sum(row["train"] + row["val"] + row["test"] for row in found["classes"]) == 56
    assert found["hashes"] == splits.card["hashes"]
    counts = splits.train.counts_K
    assert found["imbalance_ratio"] == counts.max() / counts.min()
    assert found["notes"]["empty_classes"] == []


@pytest.mark.parametrize("words", [[], ["--full"], ["--json"]])
def test_check_exits_1_when_the_folder_changed(carscale, raw, tmp_path, words):
    root = data.freeze(raw, tmp_path / "frozen").root
    assert carscale("data", "check", root)[0] == 0
    victim = next(root.glob("train/*/*.jpg"))
    victim.write_bytes(b"x")
    code, stdout, stderr = carscale("data", "check", root, *words)
    assert (code, stdout) == (1, "")
    assert stderr.startswith("DataError: ")
    assert victim.relative_to(root).as_posix() in stderr


def test_check_says_what_to_do_when_nothing_is_frozen(carscale, tmp_path):
    code, stdout, stderr = carscale("data", "check", tmp_path)
    assert (code, stdout) == (2, "")
    assert "holds no frozen data (no card.json)" in stderr
    assert "carscale data freeze FOLDER" in stderr


def test_preview_writes_a_grid(carscale, tiny, tmp_path):
    out = tmp_path / "grid.png"
    words = ["--out", out, "--num-photos", 2, "--num-draws", 3, "--image-px", 32]
    code, stdout, _ = carscale("data", "preview", tiny, *words)
    assert (code, stdout) == (0, f"{out}\n")
    first = out.read_bytes()
    with Image.open(io.BytesIO(first)) as image:
        assert image.size == (4 * 38 + 12, 2 * 38 + 6)
    assert carscale("data", "preview", tiny, *words)[0] == 0
    assert out.read_bytes() == first
    assert carscale("data", "preview", tiny, *words, "--seed", 1)[0] == 0
    assert out.read_bytes() != first


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--policy", "wild"], "--policy wild: must be none, simple, standard, geometric, "),
        (["--image-px", "3"], "data.image_px='3': should be greater than or equal to 16"),
        (["--model", "no_such_net"], "no_such_net"),
        (["--out", "/nowhere/at/all.png"], "--out /nowhere/at/all.png: can't be written: No such"),
        (["--num-photos", "0"], "Invalid value"),
        (["--num-draws", "-1"], "Invalid value"),
        (["--seed", "-1"], "Invalid value"),
    ],
)
def test_preview_exits_2_when_a_word_is_wrong(carscale, tiny, words, says):
    code, stdout, stderr = carscale("data", "preview", tiny, *words)
    assert (code, stdout) == (2, "")
    assert says in stderr


def test_demo_freeze_and_check_go_together(carscale, demo_of_command, tmp_path):
    raw, printed = demo_of_command
    out = tmp_path / "frozen"
    assert printed == f"{raw}\n"
    assert carscale("data", "freeze", raw, out)[0] == 0
    code, stdout, _ = carscale("data", "check", out)
    assert code == 0
    assert "6 classes" in stdout
    code, stdout, stderr = carscale("data", "demo", raw)
    assert (code, stdout) == (2, "")
    assert str(raw) in stderr


@pytest.mark.parametrize(
    "words",
    [["--num-classes", 2], ["--num-classes", 6, "--num-images", 10], ["--num-images", -1]],
)
def test_demo_exits_2_when_numbers_are_wrong(carscale, tmp_path, words):
    code, stdout, stderr = carscale("data", "demo", tmp_path / "raw", *words)
    assert (code, stdout) == (2, "")
    assert "Error: " in stderr
    assert "Traceback" not in stderr
    assert not (tmp_path / "raw").exists()


def test_only_the_first_process_complains(carscale, tmp_path, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert carscale("data", "check", tmp_path / "none") == (2, "", "")
    assert carscale("data", "preview", tmp_path / "none") == (2, "", "")


def test_the_example_of_pack_runs(carscale, tiny, tmp_path, monkeypatch):
    help_text = " ".join(carscale("data", "pack", "--help")[1].split())
    words = help_text.split("Example: carscale ")[1].split()[:6]
    assert words == ["data", "pack", "data/demo", "data/demo-256", "--max-px", "256"]
    shutil.copytree(tiny, tmp_path / "data" / "demo")
    monkeypatch.chdir(tmp_path)
    code, stdout, stderr = carscale(*words)
    assert (code, stdout) == (0, "data/demo-256\n")
    assert "note: no photo has a side above 256 px: all stay as they are" in stderr
    assert "0 of 56 photos shrunk to 256 px; 0.1 MB are now 0.1 MB" in stderr
    code, stdout, _ = carscale("data", "check", "data/demo-256")
    assert code == 0
    assert "4 classes, 56 photos; imbalance ratio in train" in stdout
    assert "the lock matches (3 shards hashed)" in stdout
    assert "(0 shards hashed)" in carscale("data", "check", "data/demo-256")[1]


def test_pack_takes_every_option(carscale, tiny, tmp_path):
    out = tmp_path / "pack"
    assert carscale("data", "pack", tiny, out)[0] == 0
    code, _, stderr = carscale("data", "pack", tiny, out)
    assert code == 2
    assert "is there already; frozen data stay as they are" in stderr
    words = ["--max-px", 52, "--quality", 60, "--force"]
    assert carscale("data", "pack", tiny, out, *words)[:2] == (0, f"{out}\n")
    settings = json.loads((out / "card.json").read_text())["pack"]
    assert (settings["max_px"], settings["quality"]) == (52, 60)
    victim = out / "train" / "data-00000.arrow"
    victim.write_bytes(victim.read_bytes()[:-1] + b"x")
    code, stdout, stderr = carscale("data", "check", out)
    assert (code, stdout) == (1, "")
    assert "the shards do not match their lock: 1 changed" in stderr


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--max-px", 15], "ConfigError: --max-px 15: must be 16 to 16384"),
        (["--max-px", "x"], "Invalid value"),
        (["--quality", 101], "ConfigError: --quality 101: must be 1 to 100"),
    ],
)
def test_pack_exits_2_when_a_word_is_wrong(carscale, tiny, tmp_path, words, says):
    code, stdout, stderr = carscale("data", "pack", tiny, tmp_path / "pack", *words)
    assert (code, stdout) == (2, "")
    assert says in stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", ["demo", "freeze", "check", "dedupe", "pack", "preview"])
def test_help_has_an_example(carscale, command):
    code, stdout, _ = carscale("data", command, "--help")
    assert code == 0
    assert f"Example: carscale data {command}" in " ".join(stdout.split())


def test_the_command_is_quick_and_loads_no_torch():
    code = (
        "import sys\nfrom carscale.cli import main\nsys.argv = ['carscale', 'data', '--help']\n"
        "try: main.run()\n"
        "finally: print([m for m in ('torch', 'timm', 'datasets') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=root)
    assert done.returncode == 0, done.stderr
    assert done.stdout.endswith("[]\n")
