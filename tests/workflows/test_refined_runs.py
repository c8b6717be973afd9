"""Runs made of runs: rebalance, blend, soup, gate; on real run folders."""

import json

import jobs
import numpy as np
import pytest
import torch
from folders import write_run
from ranks import run_process, run_ranks

from carscale import config, data, loaders, models, pipeline, workflows
from carscale.errors import ConfigError, DataError, ModelError, RunError
from carscale.refine import averaged, greedy
from carscale.runs import RunFolder, weights_file
from carscale.verdicts.arms import compare
from carscale.world import open_world

LOOSE = ("--max-class-drop", "0.9", "--max-negative-flips", "0.5")
EPOCHS = ("train.num_epochs=3", "train.select=last", "train.eval_every_epochs=0")


@pytest.fixture(scope="module")
def runs(made_once, tiny):
    """Two runs from one start, and one that goes on from the first."""

    def make(place):
        start = place / "start"
        assert run_process(jobs.train, tiny, start, EPOCHS) == 0
        first = weights_file(RunFolder(start).best_checkpoint)
        for name, more in {"one": ("seed=1",), "two": ("seed=2",), "three": ("seed=3",)}.items():
            words = (*EPOCHS, f"model.weights={first}", *more)
            assert run_process(jobs.train, tiny, place / name, words) == 0

    return made_once("refined-runs", make)


def refined(folder):
    return RunFolder(folder).environment()["refined"]


def made(kind, runs, out, words=()):
    """Call a workflow, for a rank of a test."""
    settings = (f"run.dir={out}", "run.name=new", *words)
    if kind == "rebalance":
        workflows.rebalance(runs / "one", settings=settings)
    elif kind == "blend":
        workflows.blend(runs / "start", runs / "one", settings=settings)
    else:
        workflows.soup([runs / "one", runs / "two", runs / "three"], settings=settings)


@pytest.fixture(scope="module")
def normed(made_once, tiny):
    """The same, of a network with batch norms."""

    def make(place):
        words = (*EPOCHS, "model.name=test_efficientnet")
        assert run_process(jobs.train, tiny, place / "start", words) == 0
        first = weights_file(RunFolder(place / "start").best_checkpoint)
        for name, more in {"one": ("seed=1",), "two": ("seed=2",), "three": ("seed=3",)}.items():
            later = (*words, f"model.weights={first}", *more)
            assert run_process(jobs.train, tiny, place / name, later) == 0

    return made_once("refined-normed-runs", make)


@pytest.mark.parametrize("kind", ["rebalance", "blend", "soup"])
@pytest.mark.parametrize("network", ["runs", "normed"])
def test_one_and_two_processes_make_the_same_run(request, tmp_path, kind, network):
    runs = request.getfixturevalue(network)
    for size in (1, 2):
        run_ranks(made, kind, runs, tmp_path / str(size), world_size=size)
    one, two = (RunFolder(tmp_path / str(size) / "new") for size in (1, 2))
    assert (one.best_checkpoint / "model.safetensors").read_bytes() == (
        two.best_checkpoint / "model.safetensors"
    ).read_bytes()
    assert one.predictions_file("val").read_bytes() == two.predictions_file("val").read_bytes()
    assert refined(one) == refined(two) | {"from": refined(one)["from"]}
    assert one.is_finished


@pytest.mark.usefixtures("quick")
def test_a_rebalanced_run_is_an_ordinary_run(runs, tmp_path, carscale):
    made("rebalance", runs, tmp_path)
    new = RunFolder.open(tmp_path / "new")
    facts = refined(new)
    assert facts["how"] == "rebalance"
    assert facts["chosen_on"] == "val"
    assert len(facts["candidates"]) == 19
    assert (facts["method"] == "as trained") == (facts["value"] <= facts["as_trained"])
    for words in (("evaluate", new, "--split", "test"), ("errors", new), ("report", new)):
        code, _, err = carscale(*words)
        assert code == 0, err
    page = (new.report_folder / "index.html").read_text()
    assert f"carscale rebalance, {facts['method']}, " in page
    assert "chosen by macro_f1 on val" in page
    found = compare([runs / "one", new.path], metric="macro_f1")
    assert [arm.name for arm in found.arms] == ["one", "new"]
    assert found.arms[1].settings == ("recipe: effnet_focal -> effnet_focal + rebalance auto",)


def test_all_but_the_classifier_stays_and_its_embeddings_give_the_predictions(runs, tmp_path):
    words = (f"run.dir={tmp_path}", "run.name=new")
    workflows.rebalance(runs / "one", method="crt-logit-adjusted", settings=words)
    states = [
        models.read_weights(weights_file(RunFolder(one).best_checkpoint))
        for one in (runs / "one", tmp_path / "new")
    ]
    changed = {name for name in states[0] if not torch.equal(states[0][name], states[1][name])}
    assert changed == {"head.weight", "head.bias"}
    old = RunFolder(runs / "one")
    splits = data.load(old.settings().data)
    embeddings_ND = old.embeddings("val", splits.val.hash, old.best_checkpoint.name)
    logits_NK = embeddings_ND.astype(np.float32) @ states[1]["head.weight"].numpy().T
    logits_NK += states[1]["head.bias"].numpy()
    found = RunFolder(tmp_path / "new").predictions("val")
    assert (logits_NK.argmax(axis=1) == found.prediction_N).mean() > 0.95  # half precision


@pytest.mark.parametrize("network", ["runs", "normed"])
def test_a_blend_lies_between_its_runs(request, tmp_path, network):
    runs = request.getfixturevalue(network)
    for share in (0.0, 0.25, 1.0):
        new = workflows.blend(
            runs / "start",
            runs / "one",
            share=share,
            settings=(f"run.dir={tmp_path}", f"run.name=b{share}"),
        )
        old, late, mixed = (
            models.read_weights(weights_file(RunFolder(one).best_checkpoint))
            for one in (runs / "start", runs / "one", new)
        )
        for name, tensor in mixed.items():
            if not tensor.is_floating_point():
                continue
            wanted = old[name].double() * (1 - share) + late[name].double() * share
            torch.testing.assert_close(tensor.double(), wanted, rtol=0, atol=1e-6)
        assert refined(new)["chosen_on"] == "the command line"
    before = RunFolder(runs / "start").predictions("val")
    after = RunFolder(tmp_path / "b0.0").predictions("val")
    np.testing.assert_array_equal(before.prediction_N, after.prediction_N)
    found = workflows.gate(runs / "start", tmp_path / "b0.0")
    assert found.is_continued
    assert found.result.has_passed
    assert found.result.flips.num_lost == 0


def test_a_blend_flips_no_more_on_val_than_it_may(normed, tmp_path):
    before = RunFolder(normed / "start").predictions("val")
    is_right_N = before.prediction_N == before.labels_N
    for limit in (0.0, 1.0):
        new = workflows.blend(
            normed / "start",
            normed / "one",
            max_negative_flips=limit,
            settings=(f"run.dir={tmp_path}", f"run.name=limit{limit:g}"),
        )
        after, facts = RunFolder(new).predictions("val"), refined(new)
        is_lost_N = is_right_N & (after.prediction_N != after.labels_N)
        assert is_lost_N.sum() / is_right_N.sum() <= limit
        assert facts["negative_flips"][f"{facts['share']:g}"] == is_lost_N.sum() / is_right_N.sum()
        tried = {f"{one['share']:g}" for one in facts["candidates"]}
        assert tried == {one for one, flips in facts["negative_flips"].items() if flips <= limit}
    assert len(tried) == 11
    with pytest.raises(ConfigError, match="--max-negative-flips 2: must be"):
        workflows.blend(normed / "start", normed / "one", max_negative_flips=2)


def test_a_soup_holds_no_run_that_makes_it_worse(runs, tmp_path):
    made("soup", runs, tmp_path)
    facts = refined(tmp_path / "new")
    best = max(facts["alone"])
    found = RunFolder(tmp_path / "new").predictions("val")
    assert (found.prediction_N == found.labels_N).mean() >= best - 1e-9
    assert facts["members"]
    parts = [
        models.read_weights(weights_file(RunFolder(one).best_checkpoint))
        for one in facts["members"]
    ]
    wanted = averaged(parts, [1 / len(parts)] * len(parts), facts["members"])
    state = models.read_weights(weights_file(RunFolder(tmp_path / "new").best_checkpoint))
    for name in wanted:  # no batch norm in this network
        torch.testing.assert_close(state[name], wanted[name])


def test_norms_of_a_network_become_those_of_its_photos(tiny):
    """Against a network that sees the same batches in training mode, with a cumulative mean."""
    cfg = config.Model(name="test_efficientnet", pretrained=False)
    view = models.preprocessing(cfg, config.Data(image_px=32))
    splits = data.read_splits(tiny)
    torch.manual_seed(0)
    model = models.build(cfg, view, splits.classes)
    with open_world(num_cpu_threads=1) as world:
        loader = loaders.eval_loader(config.Loader(eval_batch_size=8), splits.train, view, world)
        batches = [batch.images_BCHW for batch in loader]
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    rows_S = models.norm_rows(model, batches)
    assert len(rows_S) == len(batches)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
    models.set_norms(model, rows_S.mean(dim=0))
    found = {name: tensor for name, tensor in model.net.state_dict().items() if "running" in name}
    for norm in model.net.modules():
        if hasattr(norm, "running_mean") and norm.running_mean is not None:
            norm.reset_running_stats()
            norm.momentum = None
    model.train()
    with torch.no_grad():
        for batch in batches:
            model(batch)
    for name, tensor in model.net.state_dict().items():
        if "running" in name:
            torch.testing.assert_close(found[name], tensor, rtol=1e-4, atol=1e-5)


def test_what_does_not_fit_is_said_and_nothing_is_written(runs, tmp_path, tiny):
    other = tmp_path / "other"
    words = (*EPOCHS, "model.name=test_efficientnet", "train.num_epochs=1")
    assert run_process(jobs.train, tiny, other, words) == 0
    out = (f"run.dir={tmp_path}", "run.name=new")
    with pytest.raises(ModelError, match="another model"):
        workflows.blend(runs / "one", other, settings=out)
    with pytest.raises(ModelError, match="did not start from the weights of"):
        workflows.blend(runs / "one", runs / "start", settings=out)
    with pytest.raises(ModelError, match="are of different architectures"):
        averaged([{"a": torch.ones(2)}, {"a": torch.ones(3)}], [0.5, 0.5], ["one", "other"])
    with pytest.raises(ConfigError, match="metric=f2: must be one of"):
        workflows.rebalance(runs / "one", metric="f2", settings=out)
    with pytest.raises(ModelError, match="started from other weights"):
        workflows.soup([runs / "start", runs / "one"], settings=out)
    with pytest.raises(ConfigError, match="is given twice"):
        workflows.soup([runs / "one", runs / "one"], settings=out)
    with pytest.raises(ConfigError, match="--share 2: must be from 0"):
        workflows.blend(runs / "start", runs / "one", share=2, settings=out)
    with pytest.raises(ConfigError, match=r"'optim\.lr=1' can't change here"):
        workflows.rebalance(runs / "one", settings=(*out, "optim.lr=1"))
    with pytest.raises(ConfigError, match="is a run that it is made of"):
        workflows.rebalance(runs / "one", settings=("run.name=one",))
    with pytest.raises(RunError, match="holds a run already"):
        workflows.rebalance(runs / "one", settings=("run.name=two",))
    with pytest.raises(RunError, match="no such run"):
        workflows.rebalance(tmp_path / "none")
    with pytest.raises(ConfigError, match="is given twice"):
        workflows.gate(runs / "one", runs / "one")
    with pytest.raises(ConfigError, match="--max-class-drop 5: must be a share"):
        workflows.gate(runs / "one", runs / "two", max_class_drop=5)
    assert not (tmp_path / "new").exists()


def test_a_gate_of_other_photos_is_refused(runs, judged):
    labels_N = np.repeat(np.arange(10), 200)
    other = write_run(judged / "other", labels_N == 0, labels_N, hashes={"val": "f" * 64})
    with pytest.raises(DataError, match="val photos differ"):
        workflows.gate(judged / "s0", other)
    fewer = write_run(judged / "fewer", labels_N[:100] == 0, labels_N[:100], num_classes=10)
    with pytest.raises(DataError, match="1900 photos of val are in one only"):
        workflows.gate(judged / "s0", fewer)
    with pytest.raises(DataError, match="has no predictions of test"):
        workflows.gate(runs / "one", runs / "two", split="test")


@pytest.fixture
def judged(tmp_path):
    """Three seeds of one recipe, and a run of another that forgot half of a class."""
    rng = np.random.default_rng(0)
    labels_N = np.repeat(np.arange(10), 200)
    ease_N = rng.beta(4, 1, 2000)
    for seed in range(3):
        write_run(tmp_path / f"s{seed}", rng.random(2000) < ease_N, labels_N, seed=seed)
    forgot_N = (labels_N == 7) & (rng.random(2000) < 0.5)
    right_N = (rng.random(2000) < ease_N) & ~forgot_N
    write_run(tmp_path / "new", right_N, labels_N, words=["optim.lr=0.1"])
    return tmp_path


def test_the_gate_refuses_a_run_that_forgot_a_class(judged, carscale):
    code, out, err = carscale("gate", judged / "s0", judged / "s1")
    assert code == 0, err
    assert "by 1 other seed," in out
    assert out.strip().endswith("passed")
    page = judged / "page"
    code, out, err = carscale("gate", judged / "s0", judged / "new", "--out", page)
    assert code == 3, err
    assert out.splitlines()[-1].startswith("refused: Make M7 2012; ")
    assert "by 2 other seeds," in out
    text = (page / "index.html").read_text()
    assert "<h1>Refused</h1>" in text
    assert "carscale gate" in text
    lines = (page / "tables" / "flips.csv").read_text().splitlines()
    code, out, _ = carscale("gate", judged / "s0", judged / "new", "--json")
    assert code == 3
    told = json.loads(out)
    assert len(lines) == told["flips"]["num_lost"] + 1
    (worse,) = [one for one in told["groups"] if one["is_worse"] and one["kind"] == "class"]
    assert worse["name"] == "Make M7 2012"
    assert told["class_shift"]["source"] == "seeds"
    assert worse["drop"] > 0.2
    before, after = (RunFolder(judged / name).predictions("val") for name in ("s0", "new"))
    keys = [set(one.keys_N[one.prediction_N == one.labels_N]) for one in (before, after)]
    assert told["flips"]["num_lost"] == len(keys[0] - keys[1])
    assert carscale("gate", judged / "s0", judged / "new", *LOOSE)[0] == 0


def test_a_page_of_something_else_stays(judged, carscale):
    (judged / "page").mkdir()
    (judged / "page" / "notes.txt").write_text("mine")
    code, _, err = carscale("gate", judged / "s0", judged / "s1", "--out", judged / "page")
    assert code == 2
    assert "holds other files than a page of ours (notes.txt)" in err


def test_a_selection_replaces_no_folder_of_somebody_else(judged):
    (judged / "photos").mkdir()
    (judged / "photos" / "mine.jpg").write_text("mine")
    with pytest.raises(ConfigError, match=r"holds other files than a page of ours \(mine.jpg\)"):
        workflows.select(judged / "s0", judged / "photos.parquet", by="hard", force=True)
    assert (judged / "photos" / "mine.jpg").read_text() == "mine"
    with pytest.raises(ConfigError, match=r"must end in \.parquet"):
        workflows.select(judged / "s0", judged / "photos", by="hard")


def test_force_replaces_a_run_only_when_another_can_be_made(runs, tmp_path):
    settings = (f"run.dir={tmp_path}", "run.name=new")
    new = workflows.rebalance(runs / "one", method="ncm", settings=settings)
    assert refined(new)["method"] == "ncm"
    with pytest.raises(RunError, match="holds a run already"):
        workflows.rebalance(runs / "one", settings=settings)
    with pytest.raises(ConfigError):
        workflows.rebalance(runs / "one", metric="f2", settings=settings, force=True)
    assert new.is_finished
    assert workflows.evaluate(new, split="val", flip=True, temperature=True)["top1"] >= 0
    again = workflows.rebalance(runs / "one", method="logit-adjust", settings=settings, force=True)
    assert refined(again)["method"] == "logit-adjust"
    cfg = again.settings()
    with pytest.raises(RunError, match="made of another run by carscale rebalance"):
        pipeline.run("x", cfg)


def test_one_candidate_needs_no_val_to_choose_and_a_soup_of_equals_is_their_mean(runs, tmp_path):
    workflows.blend(
        runs / "start", runs / "one", share=0.5, settings=(f"run.dir={tmp_path}", "run.name=half")
    )
    facts = refined(tmp_path / "half")
    assert facts == {
        "how": "blend",
        "from": facts["from"],
        "share": 0.5,
        "chosen_on": "the command line",
        "metric": "top1",
    }


def test_greedy_keeps_a_run_only_where_it_makes_the_mean_better():
    values = {(0,): 0.5, (1,): 0.4, (0, 1): 0.6, (0, 1, 2): 0.6}
    assert greedy([0, 1, 2], lambda members: values[members]) == (0, 1)
