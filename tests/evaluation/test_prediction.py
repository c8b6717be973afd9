"""Every sample once, on 1, 2 and 3 processes: the same table, byte for byte."""

import os
import signal
import time

import jobs
import numpy as np
import pytest
import torch
from photos import draw_classes
from ranks import run_ranks

from carscale import data, evaluation, loaders, models, tables
from carscale.errors import LoaderError, Stopped
from carscale.evaluation import prediction
from carscale.world import open_world, stopping


@pytest.fixture(scope="module")
def weights(tiny, tmp_path_factory):
    cfg = jobs.recipe(tiny, tmp_path_factory.mktemp("w") / "run")
    view = models.preprocessing(cfg.model, cfg.data)
    torch.manual_seed(3)
    model = models.build(cfg.model, view, data.read_splits(tiny).classes)
    folder = tmp_path_factory.mktemp("weights")
    models.save_state(folder, "model", model.net.state_dict())
    return folder / "model.safetensors"


DALI = pytest.param("dali_cpu", marks=[pytest.mark.dali, pytest.mark.slow])
BACKENDS = ["torch", DALI]


@pytest.mark.parametrize("backend", BACKENDS)
def test_one_two_and_three_processes_write_the_same_bytes(tiny, weights, tmp_path, backend):
    if backend != "torch":
        pytest.importorskip("nvidia.dali", reason="nvidia-dali is missing")
    for world_size in (1, 2, 3):
        out = tmp_path / str(world_size)
        run_ranks(jobs.write_predictions, tiny, weights, out, 4, backend, world_size=world_size)
    for name in ("train", "val", "test"):
        one = (tmp_path / "1" / f"{name}.parquet").read_bytes()
        assert one == (tmp_path / "2" / f"{name}.parquet").read_bytes()
        assert one == (tmp_path / "3" / f"{name}.parquet").read_bytes()
    for world_size in (1, 2, 3):
        said = (tmp_path / str(world_size) / "stderr.txt").read_text().splitlines()
        bars = [line for line in said if line.startswith("predict ") and "  in 0:" in line]
        assert len(bars) == 3
        assert all("  100%  " in line for line in bars)


@pytest.mark.parametrize("num_samples", [1, 2, 7, 13, 16])
def test_small_splits_leave_ranks_empty_and_ends_ragged(weights, tmp_path, num_samples):
    raw = draw_classes(tmp_path / "raw", [40, 16, 12, 8])
    root = data.freeze(raw, tmp_path / "all").root
    whole = data.read_splits(root).train
    small = _first(whole, num_samples)
    assert len(small) == num_samples
    tables_of = []
    for world_size in (1, 2, 3):
        out = tmp_path / str(world_size)
        out.mkdir()
        run_ranks(_predict_first, root, weights, out, num_samples, world_size=world_size)
        tables_of.append(tables.read_predictions(out / "p.parquet"))
    for predictions in tables_of:
        np.testing.assert_array_equal(predictions.ids_N, small.ids_N)
        np.testing.assert_array_equal(predictions.prediction_N, tables_of[0].prediction_N)
        np.testing.assert_allclose(predictions.probs_NK, tables_of[0].probs_NK, atol=1e-6)
    assert len({(tmp_path / str(w) / "p.parquet").read_bytes() for w in (1, 2, 3)}) == 1


def _first(split, count):
    from dataclasses import replace

    fields = ("ids_N", "keys_N", "paths_N", "labels_N", "sizes_N2")
    return replace(split, **{name: getattr(split, name)[:count] for name in fields})


def _predict_first(root, weights, out, count):
    cfg = jobs.recipe(root, out / "run", "loader.eval_batch_size=4")
    with open_world(num_cpu_threads=1) as world:
        splits = data.read_splits(root)
        view = models.preprocessing(cfg.model, cfg.data)
        model = models.build(cfg.model, view, splits.classes, with_weights=False)
        models.load_state(model.net, models.read_weights(weights), "weights")
        loader = loaders.eval_loader(cfg.loader, _first(splits.train, count), view, world)
        predictions = evaluation.predict(model, loader, world, keep_probs=True)
        if world.is_main:
            (out / "p.parquet").write_bytes(tables.predictions_bytes(predictions))


def test_columns_are_what_they_say(tiny, weights):
    cfg = jobs.recipe(tiny, tiny / "unused")
    with open_world(num_cpu_threads=1) as world:
        splits = data.read_splits(tiny)
        view = models.preprocessing(cfg.model, cfg.data)
        model = models.build(cfg.model, view, splits.classes, with_weights=False)
        models.load_state(model.net, models.read_weights(weights), "weights")
        loader = loaders.eval_loader(cfg.loader, splits.train, view, world)
        p = evaluation.predict(model, loader, world, keep_probs=True)
        logits = torch.cat([model(batch.images_BCHW) for batch in loader]).detach()
    probs = logits.softmax(-1).numpy()
    rows = np.arange(len(p))
    np.testing.assert_array_equal(p.paths_N, splits.train.paths_N)
    np.testing.assert_array_equal(p.prediction_N, probs.argmax(1))
    np.testing.assert_allclose(p.probs_NK, probs, atol=1e-6)
    np.testing.assert_allclose(p.prob_label_N, probs[rows, p.labels_N], atol=1e-6)
    np.testing.assert_allclose(p.loss_N, -np.log(probs[rows, p.labels_N]), atol=1e-5)
    others = probs.copy()
    others[rows, p.labels_N] = -1
    np.testing.assert_allclose(p.margin_N, p.prob_label_N - others.max(1), atol=1e-6)
    np.testing.assert_array_equal(p.top5_NT[:, 0], p.prediction_N)
    assert p.about["split"] == "train"
    assert p.about["backend"] == "torch"


def test_a_lost_or_doubled_sample_is_an_error(tiny, weights):
    cfg = jobs.recipe(tiny, tiny / "unused")

    class Losing:
        def __init__(self, loader):
            self.loader, self.split, self.backend = loader, loader.split, "torch"
            self.view, self.eval_batch_size = loader.view, loader.eval_batch_size

        def __iter__(self):
            batches = list(self.loader)
            return iter([*batches[:-1], batches[0]])

    with open_world(num_cpu_threads=1) as world:
        splits = data.read_splits(tiny)
        view = models.preprocessing(cfg.model, cfg.data)
        model = models.build(cfg.model, view, splits.classes, with_weights=False)
        loader = Losing(loaders.eval_loader(cfg.loader, splits.train, view, world))
        with pytest.raises(LoaderError, match=r"not one a photo: \d+ missing, \d+ twice"):
            evaluation.predict(model, loader, world)


def test_a_signal_cuts_predicting_short(tiny, weights, monkeypatch):
    cfg = jobs.recipe(tiny, tiny / "unused")
    original, scored = prediction._rows, []

    def signalled(*args, **kwargs):
        scored.append(1)
        if len(scored) == 2:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0.3)  # a thread hears it
        return original(*args, **kwargs)

    monkeypatch.setattr(prediction, "_rows", signalled)
    with stopping.listening(), open_world(num_cpu_threads=1) as world:
        splits = data.read_splits(tiny)
        view = models.preprocessing(cfg.model, cfg.data)
        model = models.build(cfg.model, view, splits.classes, with_weights=False)
        loader = loaders.eval_loader(cfg.loader, splits.train, view, world)
        assert len(splits.train) > 3 * loader.eval_batch_size
        with pytest.raises(Stopped) as stop:
            evaluation.predict(model, loader, world)
    assert stop.value.number == signal.SIGTERM
    assert len(scored) == 2


def test_flip_averages_the_probabilities_of_both_sides(tiny, weights):
    cfg = jobs.recipe(tiny, tiny / "unused")
    with open_world(num_cpu_threads=1) as world:
        splits = data.read_splits(tiny)
        view = models.preprocessing(cfg.model, cfg.data)
        model = models.build(cfg.model, view, splits.classes, with_weights=False)
        models.load_state(model.net, models.read_weights(weights), "weights")
        loader = loaders.eval_loader(cfg.loader, splits.train, view, world)
        both = evaluation.predict(model, loader, world, keep_probs=True, flip=True)
        one = evaluation.predict(model, loader, world, keep_probs=True)
        scored = evaluation.Scorer(loader, flip=True)(model, world)
        with torch.inference_mode():
            sides = [
                torch.cat([model(f(batch.images_BCHW)).softmax(-1) for batch in loader]).numpy()
                for f in (lambda images: images, lambda images: images.flip(-1))
            ]
    mean_NK = (sides[0] + sides[1]) / 2
    np.testing.assert_allclose(both.probs_NK, mean_NK, atol=1e-6)
    np.testing.assert_allclose(
        both.loss_N, -np.log(mean_NK[np.arange(len(both)), both.labels_N]), atol=1e-5
    )
    assert not np.allclose(both.probs_NK, one.probs_NK, atol=1e-4)
    assert (both.about["flip"], one.about["flip"]) == (True, False)
    assert scored == evaluation.scores(both, len(splits.classes))


def test_flip_is_the_mean_over_both_sides(tiny, weights):
    cfg = jobs.recipe(tiny, tiny / "unused")
    with open_world(num_cpu_threads=1) as world:
        splits = data.read_splits(tiny)
        view = models.preprocessing(cfg.model, cfg.data)
        model = models.build(cfg.model, view, splits.classes, with_weights=False)
        models.load_state(model.net, models.read_weights(weights), "weights")
        loader = loaders.eval_loader(cfg.loader, splits.train, view, world)
        p = evaluation.predict(model, loader, world, keep_probs=True, flip=True)
        plain = evaluation.predict(model, loader, world, keep_probs=True)
        scored = evaluation.Scorer(loader, flip=True)(model, world)
        wanted = []
        for batch in loader:
            for image_CHW in batch.images_BCHW:
                mirrored = image_CHW.numpy()[:, :, ::-1].copy()
                both = torch.stack([image_CHW, torch.from_numpy(mirrored)])
                wanted.append(model(both).double().softmax(-1).mean(0).detach().numpy())
    probs, rows = np.array(wanted), np.arange(len(p))
    assert np.abs(plain.probs_NK - probs).max() > 1e-3  # it does differ
    np.testing.assert_allclose(p.probs_NK, probs, atol=1e-6)
    np.testing.assert_array_equal(p.prediction_N, probs.argmax(1))
    np.testing.assert_allclose(p.loss_N, -np.log(probs[rows, p.labels_N]), atol=1e-5)
    np.testing.assert_allclose(p.prob_label_N, probs[rows, p.labels_N], atol=1e-6)
    assert (p.about["flip"], plain.about["flip"]) == (True, False)
    assert scored == evaluation.scores(p, len(splits.classes))
