"""``carscale data compare``: the table, the JSON, the files, what a run adds, what is refused."""

import csv
import json
from functools import partial
from pathlib import Path

import jobs
import pytest
from photos import draw_photo

from carscale import curate


@pytest.fixture(autouse=True)
def fewer_permutations(monkeypatch):
    """A p-value takes a fit of five folds a permutation; how fine it is plays no part here."""
    monkeypatch.setattr(curate, "find_gap", partial(curate.find_gap, num_permutations=19))


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """Other photos, three times as large, with a file that is none."""
    root = tmp_path_factory.mktemp("compare") / "more"
    for number in range(24):
        draw_photo(root / "Fiat Panda" / f"{number:02d}.jpg", number % 4, 700 + number, (180, 120))
    (root / "Fiat Panda" / "none.jpg").write_bytes(b"none")
    return root


@pytest.fixture(scope="module")
def trained(tiny, tmp_path_factory) -> Path:
    """A run of a few steps."""
    folder = tmp_path_factory.mktemp("trained") / "run"
    jobs.train(tiny, folder, ("train.num_epochs=1", "augment.policy=none"))
    return folder


def test_the_table_and_the_words(carscale, tiny, source):
    code, out, err = carscale("data", "compare", tiny, source)
    assert code == 0
    assert "times as large" in out
    assert "Intervals and p hold for all attributes together" in out
    assert "more: 1 files can't be read" in err


def test_json_and_files_hold_the_same(carscale, tiny, source, tmp_path):
    code, out, _ = carscale("data", "compare", tiny, source, "--json", "--out", tmp_path / "gap")
    assert code == 0
    told = json.loads(out, parse_constant=pytest.fail)
    assert told == json.loads((tmp_path / "gap" / "gap.json").read_text())
    with (tmp_path / "gap" / "attributes.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["name"] for row in rows] == [row["name"] for row in told["attributes"]]
    size = told["attributes"][0]
    assert size["name"] == "size"
    assert size["median_b"] == pytest.approx((180 * 120) ** 0.5)
    assert (size["delta"], size["strength"]) == (1.0, "large")
    assert told["embeddings"] is None


def test_a_run_adds_what_its_model_sees(carscale, tiny, source, trained):
    code, out, _ = carscale(
        "data", "compare", tiny, source, "--run", trained, "--num-photos", 20, "--json"
    )
    assert code == 0
    told = json.loads(out)
    assert 0 < told["embeddings"]["p"] <= 1
    assert told["embeddings"]["low"] < told["embeddings"]["value"] < told["embeddings"]["high"]
    assert told["two_sample"][-1]["what"] == "what the model sees"
    assert told["two_sample"][-1]["num"] == 20


def test_loose_photos_are_embedded_as_evaluation_embeds_them(tiny, trained):
    import numpy as np

    from carscale import config, data, evaluation, loaders
    from carscale.workflows.embed import embed_readable
    from carscale.workflows.evaluation_run import load_result
    from carscale.world import open_world

    cfg = config.from_yaml(trained / "config.yaml")
    val = data.read_splits(tiny).val
    model, view, _, _ = load_result(trained, cfg.model)
    with open_world(precision="fp32") as world:
        wanted = evaluation.predict(
            model, loaders.eval_loader(cfg.loader, val, view, world), world, keep_embeddings=True
        ).embeddings_ND
    readers = [lambda path=path: (tiny / path).read_bytes() for path in val.paths_N]
    found, is_read = embed_readable(trained, cfg, readers)
    assert is_read.all()
    assert found.shape == wanted.shape
    np.testing.assert_allclose(found, wanted.astype(np.float32), atol=2e-2, rtol=2e-2)


def test_what_cannot_be_compared_is_refused(carscale, tiny, source, tmp_path):
    code, _, err = carscale("data", "compare", tmp_path, source)
    assert code == 2
    assert "holds no frozen data" in err
    code, _, err = carscale("data", "compare", tiny, tmp_path / "gone")
    assert code == 2
    assert "gone" in err
    code, _, err = carscale("data", "compare", tiny, source, "--out", tiny)
    assert code == 2
    assert "is frozen data" in err
