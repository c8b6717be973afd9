"""Study files: what they may say, and how they are refused."""

from pathlib import Path

import pytest

from carscale import config
from carscale.errors import ConfigError

ROOT = Path(__file__).resolve().parents[2]
STUDIES = sorted((ROOT / "recipes" / "studies").glob("*.yaml"))

ARMS = "arms: {a: {}, b: {optim.lr: 1e-4}}\n"
RECIPE = "recipe: r.py\n"


def read(folder, text):
    (folder / "r.py").touch()
    (folder / "mine.yaml").write_text(text)
    return config.read_study(folder / "mine.yaml")


def test_arms_are_read_with_their_defaults(tmp_path):
    study = read(tmp_path, RECIPE + ARMS)
    assert study.name == "mine"
    assert [arm.name for arm in study.arms] == ["a", "b"]
    assert study.baseline == "a"
    assert study.seeds == (0, 1, 2)
    assert study.arms[1].settings == {"optim.lr": "1e-4"}  # the field's type converts it
    assert study.arms[0].recipe == tmp_path / "r.py"


def test_factors_are_crossed(tmp_path):
    factors = (
        "factors: {x: {n: {}, s: {balance.sampling: sqrt}}, y: {c: {}, f: {balance.loss: focal}}}"
    )
    study = read(tmp_path, RECIPE + factors)
    assert [arm.name for arm in study.arms] == ["n+c", "n+f", "s+c", "s+f"]
    assert study.baseline == "n+c"
    assert study.arms[3].settings == {"balance.sampling": "sqrt", "balance.loss": "focal"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (RECIPE + ARMS + "sedes: 3", "unknown key 'sedes'; did you mean 'seeds'"),
        (
            RECIPE + ARMS + "budget: {seconds: .inf}",
            "budget.seconds=inf: should be a finite number",
        ),
        (RECIPE + ARMS + "margin: .nan", "margin=nan: should be"),
        (RECIPE + "arms: {a: {}, b: {}, a: {}}", "'a' stands twice"),
        (RECIPE + "arms: {1: {}, '1': {}}", "'1' stands twice"),
        (
            RECIPE + "factors: {x: {a+b: {}, a: {optim.lr: 1}}, y: {c: {}, b+c: {seed: 1}}}",
            "two combinations are called 'a+b+c'",
        ),
        (RECIPE + "arms: {a: {}}", "1 arms; wanted 2 to 64"),
        (RECIPE + ARMS + "baseline: c", "baseline=c: no such arm"),
        (RECIPE + ARMS + "seeds: 0", "seeds=0: wanted a number of seeds"),
        (RECIPE + ARMS + "seeds: [1, 1]", "wanted a number of seeds or a list"),
        (RECIPE + ARMS + "seeds: [-1]", "seeds.0=-1: should be greater than or equal to 0"),
        (RECIPE + ARMS + "metric: top9", "metric='top9'"),
        (RECIPE + ARMS + "margin: 0", "margin=0: should be greater than 0"),
        (RECIPE + ARMS + "budget: {epochs: 0}", "budget.epochs=0: should be greater"),
        (RECIPE + ARMS + "budget: {epochs: 1, seconds: 2}", "epochs and seconds"),
        (RECIPE + "arms: {a: {}, ../b: {}}", "arms.1.name='../b'"),
        (RECIPE + "arms: {a: {}, b: 3}", "arms.b=3: wanted settings"),
        (RECIPE + ARMS + "settings: {optim.lr: 1}", "optim.lr is set by settings too"),
        ("recipe: other.py\n" + ARMS, "no such recipe"),
        (ARMS, "arms.a: has no recipe"),
        (RECIPE, "holds arms and factors, or neither"),
        ("- 1", "holds no study"),
        ("a: [", "mine.yaml: is no YAML: while parsing"),
    ],
)
def test_a_wrong_file_is_refused_in_words(tmp_path, text, said):
    with pytest.raises(ConfigError) as error:
        read(tmp_path, text)
    assert said in str(error.value)


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_shipped_studies_are_read(path):
    study = config.read_study(path)
    assert study.about
    assert len(study.seeds) >= 3


@pytest.mark.parametrize(
    "names", [("off", "on"), ("no", "yes"), ("0.5", "1e3"), ("2012-01-01", "null")]
)
def test_an_arm_is_called_what_is_written(tmp_path, names):
    first, second = names
    study = read(tmp_path, f"{RECIPE}arms: {{{first}: {{}}, {second}: {{balance.loss: focal}}}}\n")
    assert [arm.name for arm in study.arms] == [first, second]
    assert study.baseline == first


def test_a_baseline_that_yaml_reads_as_a_word_is_an_arm(tmp_path):
    arms = "arms: {off: {}, on: {balance.loss: focal}}\n"
    assert read(tmp_path, f"{RECIPE}baseline: off\n{arms}").baseline == "off"
    with pytest.raises(ConfigError, match=r"quote it: baseline: '0\.5'"):
        read(tmp_path, f"{RECIPE}baseline: 0.5\n{arms}")
