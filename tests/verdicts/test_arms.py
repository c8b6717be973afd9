"""``compare`` groups runs into arms and refuses what can't be compared."""

import pytest
from folders import outcomes, write_run

from carscale.errors import ConfigError, DataError, RunError
from carscale.verdicts.arms import compare

BASE, ARM, LABELS = outcomes(800, 3, gain=0.12)
FOCAL = ("balance.loss=focal",)


def names(found):
    return [arm.name for arm in found.arms]


def test_runs_of_equal_settings_are_seeds_of_one_arm(tmp_path):
    free = ("train.keep_last=5", "loader.num_threads=3", "data.root=elsewhere", "resume=never")
    folders = [
        write_run(tmp_path / f"plain-s{seed}", BASE[seed], LABELS, seed=seed,
                  words=free if seed == 1 else ())
        for seed in range(3)
    ] + [
        write_run(tmp_path / f"focal_seed{seed}", ARM[seed], LABELS, seed=seed, words=FOCAL)
        for seed in range(3)
    ]  # fmt: skip
    found = compare([folders[1], *folders[3:], folders[0], folders[2]])
    assert names(found) == ["plain", "focal"]
    assert [run.seed for run in found.arms[0].runs] == [0, 1, 2]
    assert found.arms[1].settings == ("balance.loss: ce -> focal",)
    assert found.arms[1].verdict.word == "helps"
    assert compare([*folders[3:], *folders[:3]]).arms[1].verdict.word == "hurts"


def test_one_run_each_keeps_its_folders_name_and_claims_nothing(tmp_path):
    folders = [
        write_run(tmp_path / "resnext50", BASE[0], LABELS),
        write_run(tmp_path / "focal2", ARM[0], LABELS, words=FOCAL),
    ]
    found = compare(folders)
    assert names(found) == ["resnext50", "focal2"]
    assert found.arms[1].verdict.text == "inconclusive: needs at least 1 more seed"


def test_equal_names_are_told_apart(tmp_path):
    folders = [
        write_run(tmp_path / place / "run", rows[0], LABELS, words=words)
        for place, rows, words in (
            ("a", BASE, ()), ("b", ARM, FOCAL), ("c", ARM, ("model.drop_rate=0.1",)),
        )
    ]  # fmt: skip
    assert names(compare(folders)) == ["run", str(folders[1]), str(folders[2])]


def test_only_seeds_in_common_are_paired_and_that_is_said(tmp_path):
    folders = [
        write_run(tmp_path / f"a{seed}", BASE[seed], LABELS, seed=seed) for seed in (0, 1)
    ] + [
        write_run(tmp_path / f"b{seed}", ARM[seed], LABELS, seed=seed, words=FOCAL)
        for seed in (1, 2)
    ]
    arm = compare(folders).arms[1]
    assert [row.seed for row in arm.verdict.seeds] == [1]
    assert arm.notes == ("seed 2: the baseline has none, so counted without a pair",)
    with pytest.raises(DataError, match=r"has seeds \[0\], the others \[2\]: none in common") as no:
        compare([folders[0], folders[3]])
    assert "seed=0" in str(no.value)


def test_other_train_photos_make_another_arm(tmp_path):
    folders = [
        write_run(tmp_path / "old", BASE[0], LABELS),
        write_run(tmp_path / "more", ARM[0], LABELS, hashes={"train": "9" * 64}),
    ]
    (setting,) = compare(folders).arms[1].settings
    assert setting.startswith("train photos: data/demo (eeeeeeeeeeee) -> data/demo (999999999999)")


def test_mistakes_say_what_to_type(tmp_path):
    one = write_run(tmp_path / "one", BASE[0], LABELS)
    twin = write_run(tmp_path / "twin", BASE[1], LABELS, seed=1)
    bare = write_run(tmp_path / "bare", ARM[0], LABELS, words=FOCAL, with_table=False)
    with pytest.raises(ConfigError, match="one: is given twice"):
        compare([one, tmp_path / "." / "one"])
    with pytest.raises(ConfigError, match="1 run is given, wanted two or more"):
        compare([one])
    with pytest.raises(ConfigError, match="all 2 runs have the same settings but for the seed"):
        compare([one, twin])
    with pytest.raises(RunError, match=r"nowhere: no such run folder\n  runs in .*: bare, one"):
        compare([one, tmp_path / "nowhere"])
    with pytest.raises(DataError, match=r"bare: has no predictions of val\n  make them with: "):
        compare([one, bare])
    with pytest.raises(DataError, match="one: has no predictions of test") as missing:
        compare([one, bare], split="test")
    assert f"carscale evaluate {one} --split test" in str(missing.value)
