"""A review becomes a new version: what moves, what stays, what is refused."""

import csv
import io
import json

import numpy as np
import pytest
from frozen_trees import rows_of, tree_of
from hypothesis import given, settings
from hypothesis import strategies as st
from photos import draw_photo

from carscale import data, files
from carscale.data.frozen import layout
from carscale.data.versions import decisions
from carscale.errors import ConfigError, DataError

HEADER = ["id", "path", "label", "decision", "new_label"]


def review(path, *lines, header=HEADER, end="\n", encoding="utf-8"):
    sink = io.StringIO(newline="")
    csv.writer(sink, lineterminator=end, quoting=csv.QUOTE_NONNUMERIC).writerows([header, *lines])
    path.write_bytes(sink.getvalue().encode(encoding))
    return path


def line_of(row, decision, new_label=""):
    return [row["id"], row["path"], row["class"], decision, new_label]


def of_class(root, number, split="train"):
    return [r for r in rows_of(root) if r["split"] == split and r["class"].startswith(number)]


@pytest.fixture
def csv_file(tmp_path):
    return tmp_path / "decisions.csv"


def test_photos_move_or_go_and_all_else_stays(tiny, csv_file, tmp_path):
    first, second = of_class(tiny, "Make0")[:2]
    other, third = of_class(tiny, "Make1")[:2]
    lines = [line_of(first, "wrong", "Make2 Model"), line_of(second, "wrong")]
    lines += [line_of(other, "right"), line_of(third, "unsure")]
    before = tree_of(tiny)
    made = data.relabel(tiny, review(csv_file, *lines), tmp_path / "new")
    assert (made.num_relabelled, made.num_left_out, made.num_unchanged) == (1, 1, 2)
    assert tree_of(tiny) == before
    assert data.verify(made.root, mode="full") == 55
    old, new = {r["key"]: r for r in rows_of(tiny)}, {r["key"]: r for r in rows_of(made.root)}
    assert old.keys() - new.keys() == {second["key"]}
    moved = new[first["key"]]
    assert moved["class"] == "Make2 Model"
    assert moved["path"].split("/")[1] == data.read_splits(tiny).classes[2].folder
    assert (made.root / moved["path"]).read_bytes() == (tiny / first["path"]).read_bytes()
    for key in new.keys() - {first["key"]}:
        assert {**new[key], "id": 0} == {**old[key], "id": 0}
    assert [row["id"] for row in rows_of(made.root)] == list(range(55))
    after = tree_of(made.root)
    for path, content in before.items():
        if path.startswith(("val", "test", "classes", "quarantine")):
            assert after[path] == content

    parent, card = data.read_card(tiny), made.card
    assert card["parent"]["card"] == parent["lock"]["card.json"] == layout.card_hash(parent)
    assert card["parent"]["name"] == tiny.name
    same = [name for name in parent["hashes"] if parent["hashes"][name] == card["hashes"][name]]
    assert sorted(same) == ["classes", "test", "val"]
    told = {(change["path"], change["to"]) for change in card["relabelled"]["changes"]}
    assert told == {(first["path"], "Make2 Model"), (second["path"], None)}
    assert card["counts"]["train"] == parent["counts"]["train"] - 1
    splits = data.read_splits(made.root)
    wanted = data.read_splits(tiny).train.counts_K + np.array([-2, 0, 1, 0])
    assert splits.train.counts_K.tolist() == wanted.tolist()
    assert made.warnings == []


def test_the_same_review_gives_the_same_bytes_and_can_be_undone(tiny, csv_file, tmp_path):
    row = of_class(tiny, "Make0")[0]
    review(csv_file, line_of(row, "wrong", "Make1 Model"))
    one = data.relabel(tiny, csv_file, tmp_path / "one")
    two = data.relabel(tiny, csv_file, tmp_path / "two", link="hard")
    assert tree_of(one.root) == tree_of(two.root)
    (moved,) = [r for r in rows_of(one.root) if r["key"] == row["key"]]
    back = review(tmp_path / "back.csv", line_of(moved, "wrong", "Make0 Model"))
    undone = data.relabel(one.root, back, tmp_path / "undone")
    assert undone.card["hashes"] == data.read_card(tiny)["hashes"]
    assert undone.card["parent"]["card"] == one.card["lock"]["card.json"]


def test_hard_links_share_bytes(tiny, csv_file, tmp_path):
    row = of_class(tiny, "Make0")[0]
    made = data.relabel(
        tiny, review(csv_file, line_of(row, "right")), tmp_path / "new", link="hard"
    )
    assert (tiny / row["path"]).samefile(made.root / row["path"])
    with pytest.raises(ConfigError, match="--link soft: must be copy or hard"):
        data.relabel(tiny, csv_file, tmp_path / "other", link="soft")


@pytest.mark.parametrize("split", ["val", "test"])
def test_val_and_test_change_only_when_asked_and_loudly(tiny, csv_file, tmp_path, split):
    row = of_class(tiny, "Make0", split)[0]
    review(csv_file, line_of(row, "wrong", "Make1 Model"))
    with pytest.raises(DataError, match="changes 1 photos of val or test") as error:
        data.relabel(tiny, csv_file, tmp_path / "new")
    assert "--any-split" in str(error.value)
    assert row["path"] in str(error.value)
    assert not (tmp_path / "new").exists()
    made = data.relabel(tiny, csv_file, tmp_path / "new", any_split=True)
    assert made.warnings[0].startswith(f"{split} is another now (hash ")
    changed = [k for k, v in data.read_card(tiny)["hashes"].items() if made.card["hashes"][k] != v]
    assert changed == [split]


def test_a_right_label_of_val_is_no_change(tiny, csv_file, tmp_path):
    row = of_class(tiny, "Make0", "val")[0]
    made = data.relabel(tiny, review(csv_file, line_of(row, "right")), tmp_path / "new")
    assert made.num_unchanged == 1
    assert made.card["hashes"] == data.read_card(tiny)["hashes"]


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"id": "x"}, "line 2: id 'x' is no number"),
        ({"id": 900}, "no photo has id 900: is this of another data set"),
        ({"id": -1}, "no photo has id -1"),
        ({"path": "train/other.jpg"}, "not train/other.jpg: is this of another data set"),
        ({"label": "Make3 Model"}, "is labelled 'Make0 Model' now, not 'Make3 Model'"),
        ({"decision": "maybe"}, "decision 'maybe' must be right, wrong, unsure or leave out"),
        ({"new_label": "make1 modell"}, "did you mean 'Make1 Model'?"),
        ({"new_label": "Make0 Model"}, "its new label is the one it has"),
    ],
)
def test_a_line_that_does_not_fit_is_named(tiny, csv_file, tmp_path, changes, said):
    row = of_class(tiny, "Make0")[0]
    cells = dict(zip(HEADER, line_of(row, "wrong", "Make1 Model"), strict=True)) | changes
    with pytest.raises(DataError) as error:
        data.relabel(tiny, review(csv_file, list(cells.values())), tmp_path / "new")
    assert said in str(error.value)
    assert "1 line can't be used; nothing was changed" in str(error.value)
    assert [path.name for path in tmp_path.iterdir()] == ["decisions.csv"]


def test_many_wrong_lines_are_counted(tiny, csv_file, tmp_path):
    lines = [line_of(row, "perhaps") for row in of_class(tiny, "Make0")[:9]]
    with pytest.raises(DataError, match=r"9 lines can't be used.*") as error:
        data.relabel(tiny, review(csv_file, *lines), tmp_path / "new")
    assert str(error.value).count("\n") == 5
    assert "and 5 more" in str(error.value)


def test_two_decisions_on_one_photo_must_agree(tiny, csv_file, tmp_path):
    row = of_class(tiny, "Make0")[0]
    same = [line_of(row, "wrong", "Make1 Model")] * 2
    assert data.relabel(tiny, review(csv_file, *same), tmp_path / "new").num_relabelled == 1
    for other in (
        line_of(row, "right"),
        line_of(row, "wrong"),
        line_of(row, "wrong", "Make2 Model"),
    ):
        with pytest.raises(DataError, match=r"line 3: photo .* has another decision above"):
            data.relabel(tiny, review(csv_file, same[0], other), tmp_path / "two")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty"),
        (b"photo;path;label;decision\n", "lacks the columns id, new_label"),
        (b"id;path;label;decision;new_label\n", "holds no decision"),
        (b"id,path,label\n", "lacks the columns decision, new_label"),
        (b"id,path,label,decision,new_label\n\n,,,,\n", "holds no decision"),
        (b"id,path,label,decision,new_label\n\xff\xfe\xfd", "line 2 is no UTF-8"),
        (b'id,path,label,decision,new_label\n1,"a', "line 2 can't be read"),
    ],
)
def test_a_file_that_is_no_review_is_refused(tiny, csv_file, tmp_path, content, said):
    csv_file.write_bytes(content)
    with pytest.raises(DataError) as error:
        data.relabel(tiny, csv_file, tmp_path / "new")
    assert said in str(error.value)
    with pytest.raises(DataError, match="can't be read: No such file"):
        data.relabel(tiny, tmp_path / "none.csv", tmp_path / "new")


def test_spreadsheets_and_undecided_lines_are_taken(tiny, csv_file, tmp_path):
    first, second, third = of_class(tiny, "Make0")[:3]
    lines = [["note", *line_of(first, " Wrong ", " Make1 Model ")]]
    lines += [["", *line_of(second, "")], ["x", *line_of(third, "leave out")]]
    header = ["comment", *HEADER]
    review(csv_file, *lines, header=header, end="\r\n", encoding="utf-8-sig")
    made = data.relabel(tiny, csv_file, tmp_path / "new")
    assert (made.num_relabelled, made.num_left_out, made.num_unchanged) == (1, 1, 0)


def test_a_review_that_a_german_spreadsheet_saved_is_taken(tiny, csv_file, tmp_path):
    review(csv_file, [*line_of(of_class(tiny, "Make0")[0], "wrong", "Make1 Model")])
    text = csv_file.read_text(encoding="utf-8").replace(",", ";").replace("\n", ";geprüft\r\n")
    csv_file.write_text(f"sep=;\n{text}", encoding="cp1252")
    assert data.relabel(tiny, csv_file, tmp_path / "new").num_relabelled == 1


def test_hostile_names_guarded_cells_and_meeting_file_names(csv_file, tmp_path):
    names = ['=HYPERLINK("x","y")', "a, b", 'say "car"', "-1+2", "@sum", "Straße"]
    for label, name in enumerate(names):
        for number in range(6):
            draw_photo(tmp_path / "raw" / name / f"{number}.jpg", label % 4, 10 * label + number)
    root = data.freeze(tmp_path / "raw", tmp_path / "frozen").root
    train = [row for row in rows_of(root) if row["split"] == "train"]
    target = {row["class"]: names[(names.index(row["class"]) + 1) % 6] for row in train}

    def guarded(text):
        return f"'{text}" if str(text)[:1] in "=+-@" else text

    plain = review(csv_file, *[line_of(row, "wrong", target[row["class"]]) for row in train])
    one = data.relabel(root, plain, tmp_path / "one")
    safe = [[guarded(c) for c in line_of(row, "wrong", target[row["class"]])] for row in train]
    two = data.relabel(root, review(tmp_path / "safe.csv", *safe), tmp_path / "two")
    assert rows_of(one.root) == rows_of(two.root)
    assert one.num_relabelled == len(train)
    after = {row["key"]: row["class"] for row in rows_of(one.root)}
    assert all(after[row["key"]] == target[row["class"]] for row in train)
    assert len({row["path"].lower() for row in rows_of(one.root)}) == 36
    assert data.verify(one.root, mode="full") == 36


def test_an_emptied_class_keeps_its_number_and_is_told(tiny, csv_file, tmp_path):
    lines = [line_of(row, "wrong") for row in of_class(tiny, "Make3")]
    made = data.relabel(tiny, review(csv_file, *lines), tmp_path / "new")
    assert made.warnings == ["classes without a photo in train now: Make3 Model"]
    splits = data.read_splits(made.root)
    assert len(splits.classes) == 4
    assert splits.train.counts_K[3] == 0
    every = [line_of(row, "wrong") for row in rows_of(tiny) if row["split"] == "train"]
    with pytest.raises(DataError, match="no photo would be left for train"):
        data.relabel(tiny, review(csv_file, *every), tmp_path / "none")


def test_moving_one_of_two_twins_is_told(csv_file, tmp_path):
    for label in range(2):
        for number in range(8):
            draw_photo(tmp_path / "raw" / f"c{label}" / f"{number}.jpg", label, number)
    twin = tmp_path / "raw" / "c0" / "twin.jpg"
    twin.write_bytes((tmp_path / "raw" / "c0" / "0.jpg").read_bytes())
    rule = data.FreezeRule(fractions=(1, 0, 0))
    root = data.freeze(tmp_path / "raw", tmp_path / "frozen", rule).root
    (row,) = [row for row in rows_of(root) if row["path"].endswith("twin.jpg")]
    made = data.relabel(root, review(csv_file, line_of(row, "wrong", "c1")), tmp_path / "new")
    assert "identical photos lie in two classes now" in made.warnings[0]


def test_packs_changed_folders_and_taken_places_are_refused(tiny, csv_file, tmp_path):
    review(csv_file, line_of(of_class(tiny, "Make0")[0], "right"))
    packed = data.pack(tiny, tmp_path / "pack").root
    with pytest.raises(DataError, match="is a pack; labels are corrected in a frozen folder"):
        data.relabel(packed, csv_file, tmp_path / "new")
    made = data.relabel(tiny, csv_file, tmp_path / "new")
    with pytest.raises(DataError, match="is there already"):
        data.relabel(tiny, csv_file, tmp_path / "new")
    data.relabel(tiny, csv_file, tmp_path / "new", force=True)
    with pytest.raises(DataError, match="lies inside the source"):
        data.relabel(tiny, csv_file, tiny / "new")
    (made.root / rows_of(made.root)[0]["path"]).unlink()
    with pytest.raises(DataError, match="1 removed"):
        data.relabel(made.root, csv_file, tmp_path / "more")


@pytest.mark.parametrize("force", [False, True])
def test_no_half_version_is_ever_seen(tiny, csv_file, tmp_path, monkeypatch, force):
    review(csv_file, line_of(of_class(tiny, "Make0")[0], "wrong", "Make1 Model"))
    out = tmp_path / "new"
    before = {}
    if force:
        before = tree_of(data.relabel(tiny, csv_file, out).root)

    def fails(staging, final, **how):
        assert len(list(staging.rglob("*.jpg"))) == 56
        raise OSError("disk full")

    monkeypatch.setattr(files, "publish_folder", fails)
    with pytest.raises(DataError, match="can't be written: disk full"):
        data.relabel(tiny, csv_file, out, force=force)
    assert (tree_of(out) if out.exists() else {}) == before
    assert not [path for path in tmp_path.iterdir() if path.name.startswith(".")]


ROWS = [{"path": f"train/c{n}/{n}.jpg", "class": f"c{n}"} for n in range(4)]
CELLS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)


@settings(max_examples=200, deadline=None)
@given(content=st.one_of(st.binary(max_size=200), CELLS.map(str.encode)))
def test_any_bytes_give_decisions_or_a_data_error(content, tmp_path_factory):
    path = tmp_path_factory.mktemp("any") / "d.csv"
    path.write_bytes(b"id,path,label,decision,new_label\n" + content)
    with pytest.raises(DataError):
        decisions.read_decisions(path, ROWS, ["c0"])


@settings(max_examples=100, deadline=None)
@given(name=CELLS.filter(str.strip), number=st.integers(0, 3))
def test_any_name_comes_through_a_csv(name, number, tmp_path_factory):
    path = tmp_path_factory.mktemp("name") / "d.csv"
    rows = [{"path": f"train/x/{name}.jpg", "class": name} for _ in range(4)]
    review(path, [number, rows[0]["path"], name, "wrong", "another class"])
    made = decisions.read_decisions(path, rows, [name, "another class"])
    assert made.labels == {number: decisions.LabelDecision(number, "wrong", "another class")}


def test_the_command_prints_the_folder_and_counts(tiny, csv_file, tmp_path, capsys):
    from typer.testing import CliRunner

    from carscale.cli.main import app

    row = of_class(tiny, "Make0")[0]
    review(csv_file, line_of(row, "wrong", "Make1 Model"))
    out = tmp_path / "new"
    answer = CliRunner().invoke(app, ["data", "relabel", str(tiny), str(csv_file), str(out)])
    assert answer.exit_code == 0, answer.output
    assert answer.stdout.strip() == str(out)
    assert "1 relabelled, 0 left out, 0 unchanged" in answer.stderr
    assert json.loads((out / "card.json").read_text())["parent"]["name"] == tiny.name
