"""What every backend does: same pixels whatever the threads, clean ends, unreadable photos."""

import threading

import jobs
import numpy as np
import pytest
import torch

from carscale import augment, balance, config, data, loaders, models
from carscale.errors import ConfigError, DataError, LoaderError
from carscale.world import open_world

BACKENDS = ["torch", pytest.param("dali_cpu", marks=pytest.mark.dali)]


@pytest.fixture(params=BACKENDS)
def backend(request):
    if request.param != "torch":
        pytest.importorskip("nvidia.dali", reason="nvidia-dali is missing")
    return request.param


@pytest.fixture
def parts(tiny, tmp_path, backend):
    cfg = jobs.recipe(tiny, tmp_path / "run")
    view = models.preprocessing(cfg.model, cfg.data)
    with open_world(num_cpu_threads=1) as world:
        yield data.read_splits(tiny), view, world, backend


def loader_of(parts, *, split="train", policy="standard", **settings):
    splits, view, world, backend = parts
    chosen = {"backend": backend, "global_batch_size": 10, "eval_batch_size": 4, **settings}
    cfg = config.Loader(**chosen)
    if split != "train":
        return loaders.eval_loader(cfg, getattr(splits, split), view, world)
    policy = augment.policy(config.Augment(policy=policy), view)
    return loaders.train_loader(cfg, splits.train, policy, world, seed=0)


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
        found, shares = loader.accumulation_labels(step)
        np.testing.assert_array_equal(found, labels.numpy())
        assert (shares == 1).all()


def test_breaking_off_ends_the_threads(parts):
    batches = loader_of(parts).batches(0, 50, 1)
    next(batches)
    assert render_threads() > 0 or parts[3] != "torch"
    batches.close()
    assert render_threads() == 0


def test_a_loader_starts_again_after_a_break_and_beside_another(parts):
    train, val = loader_of(parts, num_threads=1), loader_of(parts, split="val", num_threads=1)
    straight = [b.images_BCHW.clone() for b in train.batches(0, 6, 1)]
    broken = train.batches(0, 50, 1)
    next(broken)
    broken.close()
    again = train.batches(2, 6, 1)
    for wanted in straight[2:]:
        np.testing.assert_array_equal(next(again).images_BCHW, wanted)
        shown = iter(val)  # scoring beside training, ended early
        next(shown)
        shown.close()
    assert next(again, None) is None
    assert sum(len(b.ids_B) for b in val) == sum(len(b.ids_B) for b in val) == len(parts[0].val)


def test_a_batch_stays_what_it_was_while_others_are_made(parts):
    batches = loader_of(parts, num_threads=1).batches(0, 12, 1)
    kept = [(b.images_BCHW, b.images_BCHW.clone()) for b in batches]
    assert all((shown == copy).all() for shown, copy in kept)


def test_a_rank_without_photos_gets_no_batch(parts):
    from dataclasses import replace

    splits, view, world, backend = parts
    far = replace(world, rank=40, size=41)
    assert list(loader_of((splits, view, far, backend), split="val")) == []


def test_a_photo_drawn_twice_in_a_batch_looks_different_twice(parts):
    splits, view, world, backend = parts
    weights_N = np.zeros(len(splits.train))
    weights_N[3] = 1
    cfg = config.Loader(backend=backend, global_batch_size=6)
    policy = augment.policy(config.Augment(), view)
    loader = loaders.train_loader(
        cfg, splits.train, policy, world, seed=0, sampler=balance.weighted(weights_N)
    )
    batch = next(loader.batches(0, 1, 1))
    assert set(batch.ids_B.tolist()) == {int(splits.train.ids_N[3])}
    assert len({image.numpy().tobytes() for image in batch.images_BCHW}) == 6


@pytest.mark.parametrize("policy", ["rand", "degrade", "erase"])
def test_backends_show_the_same_photos(parts, policy):
    splits, view, world, _ = parts
    mine = loader_of(parts, policy=policy).batches(0, 5, 1)
    wanted = loader_of((splits, view, world, "torch"), policy=policy).batches(0, 5, 1)
    for a, b in zip(mine, wanted, strict=True):
        assert a.ids_B.tolist() == b.ids_B.tolist()
        assert a.labels_B.tolist() == b.labels_B.tolist()
        error = (a.images_BCHW.int() - b.images_BCHW.int()).abs().float()
        assert error.mean() < 2  # measured 1.1, in degrade


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

    splits, view, world, backend = parts
    root = tmp_path / "damaged"
    shutil.copytree(splits.train.root, root)
    train = replace(splits.train, root=root)
    victim = root / train.paths_N[4]
    damaged = replace(splits, train=train, val=replace(splits.val, root=root))
    return (damaged, view, world, backend), victim


def test_a_deleted_photo_ends_the_run_with_its_name(damaged):
    parts, victim = damaged
    victim.unlink()
    loader = loader_of(parts)
    with pytest.raises(LoaderError, match="can't be read") as said:
        list(loader.batches(0, 8, 1))
    assert str(victim) in str(said.value)
    assert "carscale data check" in str(said.value)
    assert render_threads() == 0


def test_a_cut_photo_is_filled_counted_and_named_when_asked(damaged, capsys):
    parts, victim = damaged
    splits, view, _, _ = parts
    victim.write_bytes(victim.read_bytes()[:300])
    loader = loader_of(parts, on_unreadable="fill")
    batches = list(loader.batches(0, 8, 1))
    hits = [
        batch.images_BCHW[row]
        for batch in batches
        for row, i in enumerate(batch.ids_B.tolist())
        if i == splits.train.ids_N[4]
    ]
    assert sum(batch.num_unreadable for batch in batches) == len(hits) > 0
    assert all((image == torch.tensor(view.fill)[:, None, None]).all() for image in hits)
    assert str(victim) in capsys.readouterr().err


def test_evaluation_never_fills(damaged):
    parts, _ = damaged
    splits = parts[0]
    (splits.val.root / splits.val.paths_N[0]).unlink()
    with pytest.raises(LoaderError):
        list(loader_of(parts, split="val", on_unreadable="fill"))


def test_the_other_photos_are_not_touched_by_a_filled_one(damaged):
    parts, victim = damaged
    whole = list(loader_of(parts, num_threads=1).batches(0, 8, 1))
    victim.write_bytes(b"no photo")
    holed = list(loader_of(parts, num_threads=1, on_unreadable="fill").batches(0, 8, 1))
    bad = int(parts[0].train.ids_N[4])
    for a, b in zip(whole, holed, strict=True):
        assert a.ids_B.tolist() == b.ids_B.tolist()
        fine = a.ids_B != bad
        assert (a.images_BCHW[fine] == b.images_BCHW[fine]).all()
        assert b.num_unreadable == int((~fine).sum())


def test_a_photo_cut_at_two_thirds_is_not_shown(damaged):
    parts, victim = damaged
    whole = victim.read_bytes()
    victim.write_bytes(whole[: len(whole) * 2 // 3])
    with pytest.raises(LoaderError, match="can't be read"):
        list(loader_of(parts).batches(0, 8, 1))


def test_a_photo_of_another_size_is_not_the_frozen_one(damaged):
    from PIL import Image

    parts, victim = damaged
    with Image.open(victim) as image:
        image.resize((image.width + 40, image.height + 40)).save(victim)
    with pytest.raises(LoaderError, match="px, frozen as"):
        list(loader_of(parts).batches(0, 8, 1))


def test_a_whole_batch_of_bad_photos_is_filled(damaged):
    parts, _ = damaged
    train, view = parts[0].train, parts[1]
    for path in train.paths_N:
        (train.root / path).write_bytes(b"no photo")
    batches = list(loader_of(parts, on_unreadable="fill").batches(0, 3, 1))
    assert [b.num_unreadable for b in batches] == [10, 10, 10]
    assert all((b.images_BCHW == torch.tensor(view.fill)[:, None, None]).all() for b in batches)


def test_a_disk_that_stutters_gets_another_chance(parts, monkeypatch):
    if parts[3] != "torch":
        pytest.skip("DALI reads files itself; see test_dali_backend.py")
    from carscale import contained
    from carscale.loaders import reading

    read, failed = contained.read_inside, []

    def stutters(root, path):
        if not failed:
            failed.append(path)
            raise OSError(5, "Input/output error")
        return read(root, path)

    monkeypatch.setattr(reading, "RETRY_AFTER_S", 0.01)
    monkeypatch.setattr(contained, "read_inside", stutters)
    list(loader_of(parts, num_threads=1).batches(0, 2, 1))
    assert failed


def test_a_batch_too_small_for_the_processes_and_an_empty_split_are_refused(parts):
    from dataclasses import replace

    splits, view, world, _ = parts
    policy = augment.policy(config.Augment(), view)
    many = replace(world, size=8)
    with pytest.raises(ConfigError, match=r"set loader\.global_batch_size=16 or more"):
        loaders.train_loader(
            config.Loader(global_batch_size=10), splits.train, policy, many, seed=0
        )
    names = ("ids_N", "keys_N", "paths_N", "labels_N", "sizes_N2")
    empty = replace(splits.train, **{name: getattr(splits.train, name)[:0] for name in names})
    with pytest.raises(DataError, match="holds no photos"):
        loaders.train_loader(config.Loader(), empty, policy, world, seed=0)
