"""From text to a checked recipe: precedence, every mistake at once, and the way back."""

import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from carscale import config, pipeline
from carscale.errors import ConfigError

OVERRIDES = {
    "data.root": "data/cars",
    "data.image_px": "96",
    "data.fit": "crop",
    "data.verify": "full",
    "loader.backend": "torch",
    "loader.global_batch_size": "32",
    "loader.eval_batch_size": "7",
    "loader.num_threads": "3",
    "augment.policy": "none",
    "balance.sampling": "sqrt",
    "balance.loss": "focal",
    "balance.gamma": "1.5",
    "balance.label_smoothing": "0.1",
    "balance.class_weights": "inverse",
    "model.name": "resnet18",
    "model.pretrained": "false",
    "model.weights": "w.safetensors",
    "model.drop_rate": "0.2",
    "model.drop_path_rate": "0.3",
    "optim.name": "sgd",
    "optim.lr": "3e-4",
    "optim.weight_decay": "1e-4",
    "optim.warmup_epochs": "0.5",
    "train.num_epochs": "5",
    "train.max_steps": "9",
    "train.precision": "bf16",
    "train.accumulate_steps": "2",
    "train.grad_clip_norm": "1",
    "train.ema_decay": "0.99",
    "train.patience": "4",
    "train.select": "last",
    "train.eval_every_epochs": "2",
    "train.keep_last": "3",
    "train.checkpoint_every_steps": "11",
    "train.num_cpu_threads": "2",
    "train.tracker": "tensorboard",
    "seed": "17",
    "run.dir": "elsewhere",
    "run.name": "first",
    "resume": "never",
}


def value_at(cfg: config.Recipe, key: str) -> object:
    for part in key.split("."):
        cfg = getattr(cfg, part)
    return cfg


def mistakes(*words: str) -> str:
    with pytest.raises(ConfigError) as caught:
        config.resolve(config.Recipe(), list(words))
    return str(caught.value)


@pytest.mark.parametrize(("key", "text"), OVERRIDES.items())
def test_every_knob_is_set_by_its_name(key, text):
    before, after = (
        value_at(config.resolve(config.Recipe(), words), key) for words in ([], [f"{key}={text}"])
    )
    assert before != after
    wanted = {"true": True, "false": False}.get(text, text)
    if isinstance(after, (int, float)) and not isinstance(after, bool):
        assert after == float(text)
    else:
        assert after == wanted


def test_all_knobs_together_survive_yaml(tmp_path):
    cfg = config.resolve(config.Recipe(), [f"{key}={text}" for key, text in OVERRIDES.items()])
    path = tmp_path / "config.yaml"
    path.write_text(config.to_yaml(cfg))
    assert config.from_yaml(path) == cfg
    assert config.resolve(config.Recipe(seed=99), [f"config={path}"]) == cfg
    assert len(config.differences(config.Recipe(), cfg)) == len(OVERRIDES)


PRINTABLE = st.characters(
    codec="utf-8", exclude_categories=["Cc", "Cs", "Zl", "Zp"], exclude_characters="$~"
)  # these are filled in


@settings(max_examples=40, deadline=None)
@given(
    st.builds(
        config.Recipe,
        seed=st.integers(0, 2**40),
        optim=st.builds(config.Optim, lr=st.floats(1e-12, 1e3), weight_decay=st.floats(0, 9)),
        data=st.builds(config.Data, root=st.text(PRINTABLE, max_size=12)),
        run=st.builds(
            config.Run,
            name=st.none() | st.sampled_from(["1", "1e5", "null", "yes", "2026-01-01", "~", "é:#"]),
        ),
    )
)
def test_any_recipe_survives_yaml(cfg):
    tree = yaml.safe_load(config.to_yaml(cfg))
    assert config.Recipe.model_validate(tree) == cfg


def test_recipe_is_under_yaml_is_under_the_command_line(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("seed: 2\noptim: {lr: 3e-4, warmup_epochs: 2}\n")
    recipe = config.Recipe(seed=1, optim=config.Optim(lr=0.5, weight_decay=0.25))
    for words in ([f"config={path}", "optim.lr=7e-5"], ["optim.lr=7e-5", f"config={path}"]):
        cfg = config.resolve(recipe, words)
        assert (cfg.seed, cfg.optim.lr) == (2, 7e-5)
        assert (cfg.optim.warmup_epochs, cfg.optim.weight_decay) == (2, 0.25)
    assert config.resolve(recipe, [f"config={path}"]).optim.lr == 3e-4
    assert recipe.seed == 1


def test_the_last_of_two_words_and_of_two_files_wins(tmp_path):
    (tmp_path / "a.yaml").write_text("seed: 2\ntrain: {num_epochs: 3}\n")
    (tmp_path / "b.yaml").write_text("seed: 4\n")
    words = [f"config={tmp_path}/a.yaml", f"config={tmp_path}/b.yaml", "data.root=x", "data.root=y"]
    cfg = config.resolve(config.Recipe(), words)
    assert (cfg.seed, cfg.train.num_epochs, cfg.data.root) == (4, 3, "y")


def test_every_mistake_is_in_one_error(tmp_path):
    path = tmp_path / "a.yaml"
    path.write_text("optim: {learning: 1, weight_decay: -1}\n")
    text = mistakes(
        f"config={path}",
        "train.num_epoch=3",
        "optim.lr=fast",
        "data.image_px=8",
        "data.fit=stretch",
        "justaword",
        "loader.global_batch_size=1",
    )
    for part in (
        f"{path}: unknown key 'optim.learning'",
        f"{path}: optim.weight_decay=-1: should be greater than or equal to 0",
        "command line: unknown key 'train.num_epoch'; did you mean 'train.num_epochs'?",
        "command line: optim.lr='fast': should be a valid number",
        "command line: data.image_px='8': should be greater than or equal to 16",
        "command line: data.fit='stretch': should be 'crop', 'pad' or 'squash'",
        "command line: 'justaword' is no setting; write key=value",
        "command line: loader.global_batch_size='1': should be greater than or equal to 2",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("word", "near", "beside"),
    [
        ("train.num_epoch=1", "train.num_epochs", "grad_clip_norm"),
        ("lr=1", "optim.lr", "weight_decay"),
        ("optim.num_epochs=1", "train.num_epochs", "max_steps"),
        ("trian.patience=1", "train.patience", "num_epochs"),
        ("Seed=1", "seed", "resume"),
        ("train.select_metrics=top1", "train.select_metric", "select"),
    ],
)
def test_the_nearest_key_and_its_neighbours_are_named(word, near, beside):
    text = mistakes(word)
    assert f"did you mean {near!r}?" in text
    neighbours = text.split("other keys of the section: ")[1].split(", ")
    assert beside in neighbours
    assert near.rpartition(".")[2] not in neighbours


@pytest.mark.parametrize("word", ["zzz.qqq=1", "optim=1", "optim.lr.x=1", "=1", "qqq=", "data.=1"])
def test_keys_that_are_none_are_refused(word):
    assert f"unknown key {word.split('=')[0]!r}" in mistakes(word)


@pytest.mark.parametrize(
    "word",
    [
        "optim.lr=0", "optim.lr=nan", "optim.lr=inf", "optim.lr=none", "balance.gamma=nan",
        "balance.gamma=-1", "balance.label_smoothing=1", "train.ema_decay=1", "train.ema_decay=nan",
        "train.num_epochs=0", "train.num_epochs=1.5", "seed=-1", "seed=x", "model.pretrained=maybe",
        "data.root=none", "train.keep_last=0", "train.accumulate_steps=0",
        "augment.rotate_degrees=90",
        "loader.backend=dali", "resume=yes", "data.image_px=4096", "loader.eval_batch_size=0",
    ],
)  # fmt: skip
def test_bad_values_are_refused(word):
    key, _, text = word.partition("=")
    found = mistakes(word)
    assert found.startswith(f"command line: {key}=")
    assert ("None" if text == "none" else text) in found
    assert "should be" in found


def test_micro_steps_without_samples_are_refused():
    text = mistakes("loader.global_batch_size=8", "train.accumulate_steps=5")
    assert "5 micro-steps leave under 2 samples each of loader.global_batch_size=8" in text
    config.resolve(config.Recipe(), ["loader.global_batch_size=8", "train.accumulate_steps=4"])


@pytest.mark.parametrize("word", ["none", "null", "None", ""])
def test_none_means_nothing_or_the_word(word):
    cfg = config.resolve(
        config.Recipe(run=config.Run(name="x"), model=config.Model(weights="y")),
        [
            f"run.name={word}",
            f"model.weights={word}",
            f"augment.policy={word}",
            f"train.tracker={word}",
            f"balance.class_weights={word}",
        ],
    )
    assert cfg.run.name is None
    assert cfg.model.weights is None
    assert {cfg.augment.policy, cfg.train.tracker, cfg.balance.class_weights} == {"none"}


def test_a_value_may_hold_an_equals_sign():
    assert config.resolve(config.Recipe(), ["data.root=a=b"]).data.root == "a=b"


@pytest.mark.parametrize(
    ("content", "says"),
    [
        (None, "can't be read"),
        ("a: [", "is no YAML"),
        ("- 1\n", "holds no settings"),
        ("", "holds no settings"),
        ("x", "holds no settings"),
        (b"\xff\xfe\x00", "can't be read"),
        ("optim: !!python/object:os.system {}", "is no YAML"),
        ("optim: 3", "unknown key 'optim'"),
        ("seed: {a: 1}", "unknown key 'seed.a'"),
        ("seed: [1]", "seed=[1]: should be a valid integer"),
        ("1: 2", "unknown key '1'"),
    ],
)
def test_a_settings_file_that_is_none_is_refused(tmp_path, content, says):
    path = tmp_path / "a.yaml"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(ConfigError) as caught:
        config.from_yaml(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert says in str(caught.value)


def test_dry_run_prints_all_settings_and_ends(capsys):
    with pytest.raises(SystemExit) as caught:
        config.parse(config.Recipe(), ["--dry-run", "optim.lr=3e-4"])
    assert caught.value.code == 0
    out = capsys.readouterr()
    assert yaml.safe_load(out.out)["optim"]["lr"] == 3e-4
    assert config.Recipe.model_validate(yaml.safe_load(out.out)).optim.lr == 3e-4
    assert out.err == ""


def test_help_lists_every_knob(capsys):
    with pytest.raises(SystemExit) as caught:
        config.parse(config.Recipe(), ["--help"])
    assert caught.value.code == 0
    out = capsys.readouterr().out
    for key in OVERRIDES:
        assert f"\n  {key}=" in out


@pytest.mark.parametrize("words", [["optim.lr=0"], ["--dry-run", "x=1"], ["--force"], ["-n", "2"]])
def test_bad_words_exit_2_and_say_why(words, capsys):
    with pytest.raises(ConfigError, match=r"^command line: "):
        config.parse(config.Recipe(), words)
    assert capsys.readouterr() == ("", "")
    with pytest.raises(SystemExit) as caught:
        pipeline.main("test", config.Recipe(), words)
    assert caught.value.code == 2
    out = capsys.readouterr()
    assert out.err.startswith("ConfigError: command line: ")
    assert out.out == ""


def test_only_the_first_process_complains(capsys, monkeypatch):
    monkeypatch.setenv("LOCAL_RANK", "1")
    with pytest.raises(SystemExit) as caught:
        pipeline.main("test", config.Recipe(), ["optim.lr=0"])
    assert caught.value.code == 2
    assert capsys.readouterr().err == ""


def test_words_come_from_the_command_line_when_none_are_given(monkeypatch):
    monkeypatch.setattr(sys, "argv", ["recipe.py", "seed=5"])
    assert config.parse(config.Recipe()).seed == 5


def test_a_variation_keeps_its_parent_and_is_checked():
    parent = config.Recipe(seed=3, balance=config.Balance(label_smoothing=0.1))
    varied = config.vary(parent, balance={"loss": "focal", "gamma": 1.0}, train={"max_steps": 5})
    changed = config.differences(parent, varied)
    assert changed == ["balance.loss: ce -> focal", "balance.gamma: 2.0 -> 1.0",
                       "train.max_steps: 0 -> 5"]  # fmt: skip
    assert config.vary(parent, seed=4).seed == 4
    assert config.vary(parent) == parent
    with pytest.raises(ConfigError) as caught:
        config.vary(parent, balance={"los": "focal", "gamma": -1}, trian={"max_steps": 5})
    said = str(caught.value)
    assert "recipe: unknown key 'balance.los'; did you mean 'balance.loss'?" in said
    assert "recipe: unknown key 'trian.max_steps'; did you mean 'train.max_steps'?" in said
    assert "recipe: balance.gamma=-1: should be greater than or equal to 0" in said
    with pytest.raises(ConfigError, match="unknown key 'balance'"):
        config.vary(parent, balance="focal")


def test_a_preset_that_comes_with_carscale_is_found_anywhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("presets/vit.yaml", "recipes/presets/vit.yaml", "vit"):
        assert config.resolve(config.Recipe(), [f"config={name}"]).optim.layer_decay == 0.75
    (tmp_path / "vit").write_text("seed: 7")  # a file here comes first
    assert config.resolve(config.Recipe(), ["config=vit"]).seed == 7
    assert config.packaged("../pyproject.toml") is None


def test_a_recipe_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        config.Recipe().seed = 3
    with pytest.raises(ValueError, match="Extra inputs"):
        config.Recipe(sead=3)


def test_differences_leave_out_what_is_to_be_ignored():
    old = config.Recipe()
    new = config.Recipe(seed=3, run=config.Run(name="x"), train=config.Train(num_epochs=2))
    assert config.differences(old, old) == []
    found = config.differences(old, new, ignore=("run", "train.num_epochs"))
    assert found == ["seed: 0 -> 3"]
    assert len(config.differences(old, new)) == 3


def test_a_typo_is_answered_without_torch():
    code = (
        "import sys, carscale\n"
        "from carscale import config, pipeline\n"
        "try: pipeline.main('test', config.Recipe(), ['optim.lrr=1'])\n"
        "except SystemExit as end: print(end.code)\n"
        "print([m for m in ('torch', 'timm', 'accelerate', 'datasets', 'cv2') if m in sys.modules])"
    )
    root = Path(__file__).resolve().parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=root, check=True
    )
    assert done.stdout.split("\n")[:2] == ["2", "[]"]
    assert "did you mean 'optim.lr'?" in done.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["balance.loss=class-balanced-focal", "balance.class_weights=sqrt"], "has its own"),
        (["balance.loss=class-balanced-focal", "balance.label_smoothing=0.1"], "takes none"),
        (["balance.defer_weights=0.5"], "no class weights to defer"),
        (["train.grow_from_px=512"], "larger than data.image_px=224"),
        (
            ["train.eval_every_epochs=0"],
            "the last of 12 epochs alone, and train.select=best",
        ),
        (
            ["train.eval_every_epochs=12", "train.select=last", "train.patience=2"],
            "train.eval_every_epochs=12: scores the last of 12 epochs alone, and train.patience=2",
        ),
    ],
)
def test_settings_that_contradict_each_other_are_refused(words, said):
    with pytest.raises(ConfigError, match=said):
        config.resolve(config.Recipe(), words)


@pytest.mark.parametrize(
    "words",
    [
        ["train.eval_every_epochs=0", "train.select=last"],
        ["train.eval_every_epochs=11", "train.patience=2"],
        ["train.eval_every_epochs=0", "train.num_epochs=1"],
    ],
)
def test_epochs_may_go_unscored_where_nothing_compares_them(words):
    assert config.resolve(config.Recipe(), words).train.eval_every_epochs in (0, 11)
