"""The thread pool: same pixels whatever the threads, clean ends, unreadable photos."""

import threading

import jobs
import numpy as np
import pytest
import torch

from carscale import augment, config, data, loaders, models
from carscale.errors import ConfigError, DataError, LoaderError
from carscale.world import open_world


@pytest.fixture
def parts(tiny, tmp_path):
    cfg = jobs.recipe(tiny, tmp_path / "run")
    view = models.preprocessing(cfg.model, cfg.data)
    with open_world(num_cpu_threads=1) as world:
        yield data.read_splits(tiny), view, world


def loader_of(parts, *, split="train", **settings):
    splits, view, world = parts
    cfg = config.Loader(**{"global_batch_size": 10, "eval_batch_size": 4, **settings})
    if split != "train":
        return loaders.plain(cfg, getattr(splits, split), view, world)
    policy = augment.policy(config.Augment(), view)
    return loaders.training(cfg, splits.train, policy, world, seed=0)


def render_threads() -> int:
    return sum(thread.name.startswith("carscale-render") for thread in threading.enumerate())


def test_threads_and_prefetch_never_change_pixels(parts):
    def pixels(**settings):
        return [b.images_BCHW.numpy() for b in loader_of(parts, **settings).batches(3, 7, 2)]

    one = pixels(num_threads=1, prefetch=1)
    four = pixels(num_threads=4, prefetch=5)
    assert len(one) == 8
    for a, b in zip(one, four, strict=True):
        np.testing.assert_array_equal(a, b)


def test_batches_are_uint8_channels_last_with_ids_and_labels(parts):
    batch = next(loader_of(parts).batches(0, 1, 1))
    assert batch.images_BCHW.dtype == torch.uint8
    assert batch.images_BCHW.shape == (10, 3, 32, 32)
    assert batch.images_BCHW.is_contiguous(memory_format=torch.channels_last)
    train = parts[0].train
    label_of = dict(zip(train.ids_N.tolist(), train.labels_N.tolist(), strict=True))
    assert [label_of[i] for i in batch.ids_B.tolist()] == batch.labels_B.tolist()


def test_window_labels_are_those_of_the_batches(parts):
    loader = loader_of(parts)
    for step in range(5):
        labels = torch.cat([b.labels_B for b in loader.batches(step, step + 1, 2)])
        np.testing.assert_array_equal(loader.window_labels(step), labels.numpy())


def test_breaking_off_ends_the_threads(parts):
    batches = loader_of(parts).batches(0, 50, 1)
    next(batches)
    assert render_threads() > 0
    batches.close()
    assert render_threads() == 0


def test_evaluation_shows_every_photo_once_plainly(parts):
    loader = loader_of(parts, split="val")
    ids = [i for batch in loader for i in batch.ids_B.tolist()]
    assert ids == parts[0].val.ids_N.tolist()
    sizes = [len(batch.ids_B) for batch in loader]
    assert sizes[:-1] == [4] * (len(sizes) - 1)


@pytest.fixture
def damaged(parts, tmp_path):
    import shutil
    from dataclasses import replace

    splits, view, world = parts
    root = tmp_path / "damaged"
    shutil.copytree(splits.train.root, root)
    train = replace(splits.train, root=root)
    victim = root / train.paths_N[4]
    return replace(splits, train=train, val=replace(splits.val, root=root)), view, world, victim


def test_a_deleted_photo_ends_the_run_with_its_name(damaged):
    splits, view, world, victim = damaged
    victim.unlink()
    loader = loader_of((splits, view, world))
    with pytest.raises(LoaderError, match="can't be read") as said:
        list(loader.batches(0, 8, 1))
    assert str(victim) in str(said.value)
    assert "carscale data check" in str(said.value)
    assert render_threads() == 0


def test_a_cut_photo_is_filled_counted_and_named_when_asked(damaged, capsys):
    splits, view, world, victim = damaged
    victim.write_bytes(victim.read_bytes()[:300])
    loader = loader_of((splits, view, world), on_unreadable="fill")
    batches = list(loader.batches(0, 8, 1))
    hits = [
        batch.images_BCHW[row]
        for batch in batches
        for row, i in enumerate(batch.ids_B.tolist())
        if i == splits.train.ids_N[4]
    ]
    assert loader.num_unreadable == len(hits) > 0
    assert all((image == torch.tensor(view.fill)[:, None, None]).all() for image in hits)
    assert str(victim) in capsys.readouterr().err


def test_evaluation_never_fills(damaged):
    splits, view, world, _ = damaged
    (splits.val.root / splits.val.paths_N[0]).unlink()
    with pytest.raises(LoaderError):
        list(loader_of((splits, view, world), split="val", on_unreadable="fill"))


def test_a_disk_that_stutters_gets_another_chance(parts, monkeypatch):
    from pathlib import Path

    from carscale.loaders import torch_backend

    read, failed = Path.read_bytes, []

    def stutters(path):
        if path.suffix == ".jpg" and not failed:
            failed.append(path)
            raise OSError(5, "Input/output error")
        return read(path)

    monkeypatch.setattr(torch_backend, "RETRY_AFTER_S", 0.01)
    monkeypatch.setattr(Path, "read_bytes", stutters)
    list(loader_of(parts, num_threads=1).batches(0, 2, 1))
    assert failed


def test_a_batch_too_small_for_the_processes_and_an_empty_split_are_refused(parts):
    from dataclasses import replace

    splits, view, world = parts
    policy = augment.policy(config.Augment(), view)
    many = replace(world, size=8)
    with pytest.raises(ConfigError, match=r"set loader\.global_batch_size=16 or more"):
        loaders.training(config.Loader(global_batch_size=10), splits.train, policy, many, seed=0)
    names = ("ids_N", "keys_N", "paths_N", "labels_N", "sizes_N2")
    empty = replace(splits.train, **{name: getattr(splits.train, name)[:0] for name in names})
    with pytest.raises(DataError, match="holds no photos"):
        loaders.training(config.Loader(), empty, policy, world, seed=0)
