"""The map file: what is written is read back, and every mistake of an edit is named at once."""

import os
from dataclasses import replace
from pathlib import Path

import pytest
import yaml
from hypothesis import example, given, settings
from hypothesis import strategies as st

from carscale import data
from carscale.curate.map_file import ClassMap, map_text, read_map
from carscale.curate.mapping import Proposal, propose_map
from carscale.errors import ConfigError

BASE = ["Audi A5 Coupe 2012", "Audi S4 Sedan 2007", "Audi S4 Sedan 2012", "FIAT 500 Abarth 2012"]
SOURCE = ["audi_a5_coupe", "AUDI S4 SEDAN", "Audi", "Tata Nano", "fiat/500_abarth"]
SURE = "FIAT 500 ABARTH 2012"
ODD = ["no", "1e3", "500", "2008", "~", "<<", "=", " ", "a: b", "a #b", "'", '"', "- x", "? y"]
ODD += ["{a}", "[b]", "&a", "*a", "!t", "%", "@", "`", "two\nlines", "\n", "tab\t", "\x07", "\x85"]
ODD += ["é", "吉利", "🚗", "\u2028", "\ufeff", "\ufffe", os.fsdecode(b"caf\xe9"), "x" * 300, "true"]


def write(path: Path, proposals: list[Proposal], base: list[str] = BASE) -> Path:
    path.write_text(map_text(proposals, base, {"Audi": 70}, base="data/cars", source="more"))
    return path


@pytest.fixture
def written(tmp_path) -> Path:
    return write(tmp_path / "map.yaml", propose_map(BASE, SOURCE))


def edited(path: Path, changes: dict[str, object]) -> Path:
    """Replace what stands under source classes; ``None`` takes one out."""
    tree = yaml.safe_load(path.read_text())
    for name, entry in changes.items():
        tree["classes"].pop(name, None)
        if entry is not None:
            tree["classes"][name] = entry
    path.write_text(yaml.safe_dump(tree))
    return path


def test_a_written_map_is_read_back(written):
    found = read_map(written, BASE, SOURCE, allow_ambiguous=True)
    assert found == ClassMap(
        to={"audi_a5_coupe": BASE[0], "fiat/500_abarth": BASE[3]},
        new={"Tata Nano": "Tata Nano"},
        make={"Audi": "Audi"},
        make_classes={"Audi": tuple(BASE[:3])},
        ambiguous={"AUDI S4 SEDAN": tuple(BASE[1:3])},
    )


def test_the_file_explains_itself_and_asks_first(tmp_path):
    text = write(tmp_path / "map.yaml", propose_map(BASE, [SURE, *SOURCE])).read_text()
    for word in ("to:", "new:", "make:", "ambiguous:", "skip: true"):
        assert f"#   {word}" in text
    assert text.index("# 1 to choose") < text.index("# 3 matched") < text.index("# 1 of which only")
    assert text.index("  fiat/500_abarth:") < text.index(f"  {SURE}:")  # 0.85, 0.98
    assert "    ambiguous: [Audi S4 Sedan 2007, Audi S4 Sedan 2012]\n" in text
    tree = yaml.safe_load(text)  # any YAML reader takes it
    assert tree["classes"]["Audi"] == {
        "make": "Audi",
        "score": 0.98,
        "photos": 70,
        "reason": "only the make is named; the base has 3 classes of it",
    }


def test_the_base_hash_is_the_card_s(tmp_path, tiny):
    splits = data.read_splits(tiny)
    names = [car.name for car in splits.classes]
    path = write(tmp_path / "map.yaml", propose_map(names, ["x"]), names)
    assert yaml.safe_load(path.read_text())["base_classes"] == splits.card["hashes"]["classes"]


def test_a_map_by_hand_needs_nothing_but_classes(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text(
        "classes:\n  500: {to: FIAT 500 Abarth 2012}\n  no: {new: yes}\n  x: {skip: true}\n"
    )
    found = read_map(path, BASE, ["500", "no", "x"])
    assert (found.to, found.new, found.skipped) == ({"500": BASE[3]}, {"no": "yes"}, ("x",))


def test_several_classes_for_one_are_fine_and_said(written):
    edited(written, {"AUDI S4 SEDAN": {"to": BASE[0]}, "Audi": {"new": "fiat 500 abarth '12"}})
    found = read_map(written, BASE, SOURCE)
    assert found.notes == (
        f"2 source classes become the base class '{BASE[0]}': 'AUDI S4 SEDAN', 'audi_a5_coupe'",
        f"new class 'fiat 500 abarth '12' reads like the base's '{BASE[3]}'",
    )


def test_a_make_is_taken_however_it_is_written(written):
    edited(written, {"AUDI S4 SEDAN": {"skip": "true"}, "Audi": {"make": "fiat"}})
    found = read_map(written, BASE, SOURCE)
    assert (found.make, found.make_classes) == ({"Audi": "FIAT"}, {"FIAT": (BASE[3],)})


def test_every_mistake_is_named_at_once(written):
    edited(
        written,
        {
            "audi_a5_coupe": {"to": "Audi A5 Coupe 2021"},
            "Tata Nano": None,
            "Tata Nana": {"skip": True},
            "Audi": {"make": "Audj"},
            "fiat/500_abarth": {"new": BASE[3], "skip": "true"},
        },
    )
    with pytest.raises(ConfigError) as caught:
        read_map(written, BASE, SOURCE)
    assert str(caught.value).splitlines() == [
        f"{written}: 6 mistakes",
        "  'Tata Nano': stands not in the map",
        "  'Tata Nana': is no class of the source; did you mean 'Tata Nano'?",
        "  'AUDI S4 SEDAN': is ambiguous; choose, e.g. to: one of 'Audi S4 Sedan 2007', "
        "'Audi S4 Sedan 2012', or new: NAME",
        "  'Audi': make: the base has no make 'Audj'; did you mean 'Audi'?",
        "  'audi_a5_coupe': to: 'Audi A5 Coupe 2021' is no class of the base; did you mean "
        "'Audi A5 Coupe 2012'?",
        "  'fiat/500_abarth': wanted one of to, new, make, ambiguous, skip; came new and skip",
    ]


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        (
            {"new": BASE[0]},
            "'Audi A5 Coupe 2012' is a class of the base already; write to: 'Audi A5",
        ),
        ({"too": BASE[0]}, "unknown key 'too'; did you mean 'to'?"),
        ({"reason": "x"}, "wanted one of to, new, make, ambiguous, skip; came none of them"),
        ("Audi A5 Coupe 2012", "came none of them"),
        (None, "stands not in the map"),
        ({"skip": "no"}, "skip: wanted true, came 'no'"),
        (
            {"to": [BASE[0], BASE[1]]},
            "to: wanted text, came ['Audi A5 Coupe 2012', 'Audi S4 Sedan 20",
        ),
        ({"new": ""}, "new: wanted text, came ''"),
        ({"to": "a\nb\x07"}, r"'a\nb\x07' is no class of the base"),
    ],
)
def test_one_wrong_answer(written, entry, told):
    edited(written, {"Audi": entry})
    with pytest.raises(ConfigError, match=": 1 mistake\n") as caught:
        read_map(written, BASE, SOURCE, allow_ambiguous=True)
    assert told in str(caught.value)


def test_a_map_of_another_base_is_refused_unless_its_line_is_taken_out(written):
    base = [*BASE, "Volvo 240 Sedan 1993"]
    with pytest.raises(
        ConfigError, match=r"base_classes: made for another base than these 5 class"
    ):
        read_map(written, base, SOURCE, allow_ambiguous=True)
    text = written.read_text()
    written.write_text("".join(x for x in text.splitlines(True) if "base_classes" not in x))
    assert len(read_map(written, base, SOURCE, allow_ambiguous=True).to) == 2


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "holds no map"),
        (b"classes: [a]", "holds no map"),
        (b"- a", "holds no map"),
        (b"classes: {a: {to: x}", "is no YAML: "),
        (b"classes:\n  a: {skip: true}\n  a: {new: b}\n", "is no YAML: 'a' stands twice"),
        (b"classes: {\xe9: {skip: true}}", "can't be read: "),
        (b"classes: {? [a] : {skip: true}}", "is no YAML: "),
        (b"a: &a [*a]\nclasses: {x: *a}", "is no YAML: "),
    ],
)
def test_a_file_that_is_no_map(tmp_path, content, told):
    path = tmp_path / "map.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError) as caught:
        read_map(path, BASE, ["s"])
    assert str(caught.value).startswith(f"{path}: ")
    assert told in str(caught.value)
    with pytest.raises(
        ConfigError, match=r"none\.yaml: no such file\n  make one: carscale data map"
    ):
        read_map(tmp_path / "none.yaml", BASE, ["s"])


def test_very_many_mistakes_are_counted(tmp_path):
    path = write(tmp_path / "map.yaml", [])
    with pytest.raises(ConfigError, match=r"(?s)500 mistakes.*and 460 more"):
        read_map(path, BASE, [str(n) for n in range(500)])


name = st.text(min_size=1) | st.sampled_from(ODD) | st.binary(min_size=1).map(os.fsdecode)


@settings(deadline=None)
@example(ODD, ODD)
@given(st.lists(name, unique=True, max_size=6), st.lists(name, unique=True, max_size=6))
def test_any_names_round_trip(tmp_path_factory, base, source):
    path = tmp_path_factory.mktemp("map") / "map.yaml"
    proposals = propose_map(base, source)
    proposals = [replace(one, note=one.source) for one in proposals]
    path.write_text(map_text(proposals, base, {}, base="a\nb", source="\udce9"), encoding="utf-8")
    found = read_map(path, base, source, allow_ambiguous=True)
    want = {outcome: {} for outcome in ("match", "new", "make", "ambiguous")}
    for one in proposals:
        want[one.outcome][one.source] = one.target or one.candidates
    assert (found.to, found.new, found.ambiguous) == (want["match"], want["new"], want["ambiguous"])
    assert set(found.make) == set(want["make"])


def test_a_map_of_another_source_is_one_mistake(tmp_path):
    path = tmp_path / "map.yaml"
    path.write_text("source: other-photos\nclasses:\n  a: {skip: true}\n  b: {skip: true}\n")
    with pytest.raises(ConfigError) as error:
        read_map(path, ["Audi A4"], ["x", "y"])
    lines = str(error.value).splitlines()
    assert len(lines) == 2
    assert "none of the 2 is a class of this source; the map was made of other-photos" in lines[1]
