"""Training on from a run: what is drawn, which margins hold, what is kept of the start."""

import shutil

import jobs
import numpy as np
import pytest
import torch
from ranks import run_process

from carscale import balance, config, data, models, pipeline, tables, workflows
from carscale.balance.selected import read_selected, replay_weights
from carscale.errors import ConfigError, DataError
from carscale.runs import RunFolder, weights_file
from carscale.studies.folds import FoldRule, run_folds
from carscale.training import Learner
from carscale.types import CarClass, View

FINETUNE = config.read_recipe(jobs.RECIPES / "finetune_hard.py")


def write_table(path, split, rows, *, rivals=None, keys=None, weights=None):
    """Write what ``carscale select`` would."""
    columns = {
        "id": split.ids_N[rows],
        "key": split.keys_N[rows] if keys is None else np.array(keys, dtype=object),
        "path": split.paths_N[rows],
        "class": split.paths_N[rows],
        "reason": np.array([""] * len(rows), dtype=object),
        "rival": np.array(rivals or [""] * len(rows), dtype=object),
        "weight": np.ones(len(rows)) if weights is None else np.array(weights),
    }
    path.write_bytes(tables.table_bytes(columns))
    return path


@pytest.fixture
def train(tiny):
    return data.read_splits(tiny).train


def recipe(path, **finetune):
    return config.vary(
        config.Recipe(), finetune={"select": str(path), **finetune}, model={"weights": "w"}
    )


@pytest.mark.parametrize("replay", [0.0, 0.5, 0.9])
@pytest.mark.parametrize("sampling", ["natural", "balanced"])
def test_selected_photos_are_drawn_in_their_share_and_the_rest_as_before(
    train, tmp_path, replay, sampling
):
    rows = [0, 5, 9]
    path = write_table(tmp_path / "s.parquet", train, rows, weights=[1.0, 1.0, 2.0])
    cfg = config.vary(recipe(path, replay=replay), balance={"sampling": sampling})
    sampler = balance.sampler(cfg, train)
    drawn = np.concatenate([sampler.draw(np.random.default_rng(n), n) for n in range(10)])
    share_N = np.bincount(drawn, minlength=len(train)) / len(drawn)
    assert share_N[rows].sum() == pytest.approx(1 - replay, abs=0.01)
    assert share_N[9] / (1 - replay) == pytest.approx(0.5, abs=0.02)
    rest = np.setdiff1d(np.arange(len(train)), rows)
    by_class = np.bincount(train.labels_N[rest], weights=share_N[rest], minlength=4)
    counts_K = np.bincount(train.labels_N[rest], minlength=4)
    wanted_K = counts_K.astype(float)
    if sampling == "balanced":
        wanted_K /= train.counts_K
    wanted_K *= replay / wanted_K.sum()
    np.testing.assert_allclose(by_class, wanted_K, atol=0.01)


def test_a_selection_of_all_of_train_needs_no_rest(train, tmp_path):
    path = write_table(tmp_path / "s.parquet", train, np.arange(len(train)))
    selected = read_selected(path, train)
    weights_N = replay_weights(selected, np.ones(len(train)), 0.5)
    np.testing.assert_allclose(weights_N, 1 / len(train))


def test_photos_of_val_are_refused(tiny, train, tmp_path):
    val = data.read_splits(tiny).val
    path = write_table(tmp_path / "s.parquet", val, [0, 1])
    with pytest.raises(DataError, match=r"2 of its 2 photos are not in train .*\(first: val/"):
        balance.sampler(recipe(path), train)
    none = write_table(tmp_path / "none.parquet", train, [0, 1], weights=[0.0, 0.0])
    with pytest.raises(DataError, match="all its weights are 0"):
        balance.sampler(recipe(none), train)
    with pytest.raises(DataError, match=r"s2\.parquet: no such file"):
        balance.sampler(recipe(tmp_path / "s2.parquet"), train)


def test_a_class_must_win_over_its_rival_by_the_margin(train, tmp_path):
    rows = [int(np.flatnonzero(train.labels_N == 1)[0])]
    path = write_table(tmp_path / "s.parquet", train, rows, rivals=[train.classes[3].name])
    cfg = recipe(path, pair_margin=0.7)
    margins_KK = balance.rival_margins(cfg.finetune, train)
    wanted = torch.zeros(4, 4)
    wanted[1, 3] = 0.7
    assert torch.equal(margins_KK, wanted)
    loss = balance.loss(config.Balance(), train.counts_K, (), margins_KK)
    torch.manual_seed(0)
    logits_BK, labels_B = torch.randn(8, 4), torch.tensor([0, 1, 2, 3] * 2)
    terms_B, _ = loss(logits_BK, labels_B)
    raised_BK = logits_BK.clone()
    raised_BK[labels_B == 1, 3] += 0.7
    expected_B = torch.nn.functional.cross_entropy(raised_BK, labels_B, reduction="none")
    torch.testing.assert_close(terms_B, expected_B)
    assert balance.rival_margins(recipe(path).finetune, train) is None
    own = write_table(tmp_path / "own.parquet", train, rows, rivals=[train.classes[1].name])
    with pytest.raises(ConfigError, match="names no class that its photos are taken for"):
        balance.rival_margins(recipe(own, pair_margin=0.7).finetune, train)


def test_distillation_is_the_divergence_from_the_model_before_training():
    torch.manual_seed(0)
    classes = tuple(CarClass(str(k), str(k)) for k in range(4))
    model = models.build(config.Model(name="test_vit", pretrained=False), View(32), classes)
    loss = balance.loss(config.Balance(), np.ones(4, np.int64))
    learner = Learner(model, loss, config.Optim(), distill=0.5)
    images_BCHW = torch.randint(0, 256, (3, 3, 32, 32), dtype=torch.uint8)
    model.eval()
    before_BK = model(images_BCHW).detach()
    assert learner.distilled_sum(images_BCHW, before_BK) == 0
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    now_BK = model(images_BCHW).detach()
    p_BK, q_BK = (torch.softmax(one / 2, dim=1) for one in (before_BK, now_BK))
    divergence = (p_BK * (p_BK.log() - q_BK.log())).sum()
    found = learner.distilled_sum(images_BCHW, now_BK)
    torch.testing.assert_close(found, 0.5 * 4 * divergence)
    assert Learner(model, loss, config.Optim()).distilled_sum(images_BCHW, now_BK) == 0
    model.weights_from = "some file; new: classifier"
    with pytest.raises(ConfigError, match="of a new classifier there is nothing to keep"):
        Learner(model, loss, config.Optim(), distill=0.5)


def test_each_picture_is_distilled_alike_whatever_its_class_weighs(tiny, tmp_path):
    """One step's loss in one and in two micro-steps, with the divergence of all its pictures."""
    start = tmp_path / "start"
    assert run_process(jobs.train, tiny, start, ("train.num_epochs=1",)) == 0
    losses = {}
    for distill, steps in ((0.0, 1), (3.0, 1), (3.0, 2)):
        words = (
            *(f"model.weights={start}", f"finetune.distill={distill}", "train.max_steps=2"),
            *("balance.class_weights=inverse", f"train.accumulate_steps={steps}"),
        )
        folder = tmp_path / f"{distill}-{steps}"
        assert run_process(jobs.train, tiny, folder, words) == 0
        losses[distill, steps] = [row["loss"] for row in RunFolder(folder).log("step")]
    assert losses[3.0, 1] == pytest.approx(losses[3.0, 2], rel=1e-4)
    assert losses[3.0, 1][0] == pytest.approx(losses[0.0, 1][0], rel=1e-4)  # nothing moved yet
    extra = losses[3.0, 1][1] - losses[0.0, 1][1]
    assert extra != 0


def test_the_recipe_takes_model_and_data_of_the_run(tiny, tmp_path):
    start = tmp_path / "start"
    words = ("train.num_epochs=1", "data.fit=pad")
    assert run_process(jobs.train, tiny, start, words) == 0
    cfg = config.resolve(FINETUNE, [f"model.weights={start}", "data.image_px=48"])
    assert (cfg.model.name, cfg.data.root, cfg.data.fit) == ("test_vit", str(tiny), "pad")
    assert cfg.data.image_px == 48  # what is said goes before
    assert cfg.train.num_epochs == 4
    by_file = f"model.weights={RunFolder(start).best_checkpoint / 'model.safetensors'}"
    assert config.resolve(FINETUNE, [by_file]).model.name == "test_vit"
    again = config.to_yaml(cfg)
    (tmp_path / "again.yaml").write_text(again)
    assert config.to_yaml(config.from_yaml(tmp_path / "again.yaml")) == again


def test_a_run_that_was_trained_on_keeps_its_own_settings_without_its_parent(tiny, tmp_path):
    start, tuned = tmp_path / "start", tmp_path / "runs" / "tuned"
    assert run_process(jobs.train, tiny, start, ("train.num_epochs=1",)) == 0
    words = (*jobs.SMALL, "train.num_epochs=1", f"model.weights={start}", "data.image_px=48")
    words = (*words, f"run.dir={tuned.parent}", "run.name=tuned", "optim.freeze_epochs=0")
    words = tuple(word for word in words if word not in ("data.image_px=32", jobs.SMALL[1]))
    cfg = config.resolve(FINETUNE, list(words))
    assert not cfg.finetune.inherit
    assert run_process(pipeline.run, "finetune_hard", cfg) == 0
    shutil.rmtree(start)
    run = RunFolder(tuned)
    again = config.resolve(run.settings(), ["loader.eval_batch_size=3"])
    assert (again.data.image_px, again.data.root) == (48, str(tiny))
    assert workflows.evaluate(tuned, split="val")["top1"] >= 0
    with pytest.raises(ConfigError, match="no fold would be held out"):
        run_folds(tuned, FoldRule())


def test_what_to_train_on_from_must_be_said(tmp_path):
    with pytest.raises(ConfigError, match=r"finetune\.inherit=true trains on from a run"):
        config.resolve(FINETUNE, [])
    with pytest.raises(ConfigError, match="holds no run"):
        config.resolve(FINETUNE, [f"model.weights={tmp_path}"])
    with pytest.raises(ConfigError, match=r"set finetune\.select=FILE too"):
        config.resolve(config.Recipe(), ["finetune.pair_margin=1"])
    with pytest.raises(ConfigError, match=r"set model\.weights=RUN too"):
        config.resolve(config.Recipe(), ["finetune.distill=1"])


def test_a_run_that_is_trained_on_from_another_resumes_to_the_same_bits(tiny, train, tmp_path):
    """Killed and started again, the teacher is still the first model."""
    start = tmp_path / "start"
    assert run_process(jobs.train, tiny, start, ("train.num_epochs=1",)) == 0
    rows = np.flatnonzero(train.labels_N == 3)
    rivals = [train.classes[0].name] * len(rows)
    path = write_table(tmp_path / "s.parquet", train, rows, rivals=rivals)
    more = (
        *(f"model.weights={start}", f"finetune.select={path}", "finetune.distill=0.5"),
        *("finetune.pair_margin=0.5", "train.num_epochs=2", "train.checkpoint_every_steps=1"),
    )
    straight, cut = tmp_path / "straight", tmp_path / "cut"
    assert run_process(jobs.train, tiny, straight, more) == 0
    assert run_process(jobs.train_until, tiny, cut, more, "weights file", 5) == -9
    assert RunFolder(cut).checkpoints("step")
    assert run_process(jobs.train, tiny, cut, more) == 0
    assert RunFolder(straight).log("step") == RunFolder(cut).log("step")
    weights = [weights_file(RunFolder(one).best_checkpoint).read_bytes() for one in (straight, cut)]
    assert weights[0] == weights[1]
    write_table(path, train, rows[1:])
    shutil.rmtree(RunFolder(cut).checkpoints("step")[0])
    assert run_process(jobs.train, tiny, cut, more) == 2  # other photos than it began with
