"""The demo set, a run on it and its folds: made by training, or restored from small fixtures.

Training takes minutes, so its predictions and the measured photos are kept in ``fixtures/demo``:
what a run folder and a frozen folder hold, less weights and photos. After a change of the demo's
drawing, of the frozen format or of what is measured of photos, make them anew: ``make fixtures``.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from carscale.data.frozen.cache import cache_file

ROOT = Path(__file__).resolve().parents[2]
FIXTURES = ROOT / "tests" / "fixtures" / "demo"
WORDS = (
    "data.image_px=64",
    "loader.global_batch_size=32",
    "augment.crop_scale_min=0.5",
    "optim.lr=0.002",
    "train.ema_decay=0.95",
    "evaluate.flip=true",
)
KEPT = (
    *(f"frozen/{name}" for name in ("card.json", "classes.json", "manifest.parquet")),
    "frozen/quarantine.jsonl",
    *(f"runs/demo/{name}" for name in ("config.yaml", "classes.json")),
    *(f"runs/demo/predictions/{name}.parquet" for name in ("val", "folds")),
    "raw/truth.json",
)
SEEN = {"photo_stats": "photo_stats.npz", "near": "near.npz"}
"""What was measured of the photos, and which are near duplicates; restored into the cache of this
machine."""
GREY_STEP = 16
"""Signatures are kept this coarsely, in two fifths of the bytes; they correlate as before."""


def say(place: Path, *words: object) -> str:
    """Run Python in a folder; return what it printed."""
    answer = subprocess.run(
        [sys.executable, *map(str, words)],
        cwd=place,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr[-2000:]
    return answer.stdout


def train(place: Path) -> None:
    """Draw, freeze, train and predict train by folds, as a person does."""
    recipe = ROOT / "recipes" / "effnet_baseline.py"
    say(place, "-m", "carscale", "data", "demo", "raw", "--num-images", 1440)
    say(place, "-m", "carscale", "data", "freeze", "raw", "frozen")
    say(
        place, recipe, "data.root=frozen", "run.dir=runs", "run.name=demo", "train.num_epochs=12",
        *WORDS,
    )  # fmt: skip
    folds = ("--num-folds", 2, "--num-repeats", 2, "train.num_epochs=14")
    say(place, "-m", "carscale", "folds", "runs/demo", *folds)


def restore(place: Path) -> None:
    """Lay out the fixtures as ``train`` would leave them, without photos and weights."""
    shutil.copytree(FIXTURES, place, dirs_exist_ok=True)
    for kind, name in SEEN.items():
        cache = cache_file(place / "frozen", kind)
        cache.parent.mkdir(parents=True, exist_ok=True)
        (place / name).rename(cache)


def main() -> None:
    """Train and store the fixtures anew."""
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        os.environ["XDG_CACHE_HOME"] = str(place / "cache")
        train(place)
        say(place, "-m", "carscale", "errors", "runs/demo")  # measures the photos
        shutil.rmtree(FIXTURES, ignore_errors=True)
        for name in KEPT:
            (FIXTURES / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(place / name, FIXTURES / name)
        with np.load(cache_file(place / "frozen", "photo_stats")) as measured:
            stats = measured["stats"].copy()
            stats["signature"] = stats["signature"] // GREY_STEP * GREY_STEP + GREY_STEP // 2
            np.savez_compressed(
                FIXTURES / SEEN["photo_stats"], version=measured["version"], stats=stats
            )
        with np.load(cache_file(place / "frozen", "near")) as found:
            np.savez_compressed(FIXTURES / SEEN["near"], **found)


if __name__ == "__main__":
    main()
