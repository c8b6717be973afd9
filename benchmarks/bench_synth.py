"""Do the filters refuse bad synthetic photos, and what does each part of making them take?

    python benchmarks/bench_synth.py filters data/lt66 runs/base --good raw66-more
    python benchmarks/bench_synth.py seconds data/lt66 runs/base --num 1000

``filters`` plants photos of known faults beside good ones and merges them as ``carscale data merge
--synthetic`` does: cars of another make, copies of val cut by a tenth, blurred ones, empty ones;
good are photos of the right class that the data set does not have (``--good``: class folders).
``seconds`` times ``background``: masks, photos with masks at hand, and filters apart.
"""

import argparse
import json
import tempfile
import time
from collections import Counter, defaultdict
from pathlib import Path

import cv2
import numpy as np

from carscale import curate, data, images, synth, workflows
from carscale.workflows.synthetic.judging import Filters
from carscale.workflows.synthetic.masks import car_masks

KINDS = ("good", "another make", "copy of val", "blurred", "empty")


def photos_of(folder, names):
    """Return the photos of each class in class folders, by class."""
    found = defaultdict(list)
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.parent.name in names:
            found[path.parent.name].append(path)
    return found


def planted(kind, number, name, good, val, rng):  # noqa: PLR0917
    """Return the bytes of one planted photo for a class; ``None`` where there is none to take."""
    own = good[name][::2]  # the others come as another make: one photo has one class
    if kind == "good":
        return own[number].read_bytes() if number < len(own) else None
    if kind == "another make":
        makes = [one for one in good if one.split()[0] != name.split()[0] and len(good[one]) > 1]
        others = good[makes[rng.integers(len(makes))]][1::2]
        return others[rng.integers(len(others))].read_bytes()
    if kind == "copy of val":
        pixels = images.decode(val.read_bytes(int(rng.integers(len(val)))))
        height, width = pixels.shape[:2]
        top, left = height // 20, width // 20
        return images.encode_jpeg(
            np.ascontiguousarray(pixels[top : height - top, left : width - left]), quality=85
        )
    pixels = images.decode(own[number % len(own)].read_bytes())
    if kind == "blurred":
        sigma = 0.025 * max(pixels.shape)
        return images.encode_jpeg(np.asarray(cv2.GaussianBlur(pixels, (0, 0), sigma)), quality=90)
    height, width = pixels.shape[:2]
    rows = np.linspace(0, 1, height)[:, None, None] > rng.uniform(0.4, 0.6)
    sky, street = rng.integers(150, 230, 3), rng.integers(70, 130, 3)
    ground = np.where(rows, street, sky) + rng.normal(0, 6, (height, width, 3))
    return images.encode_jpeg(ground.clip(0, 255).astype(np.uint8), quality=90)


def filters(args):
    """Plant photos, merge them, print what became of each kind."""
    splits, rng = data.read_splits(args.root), np.random.default_rng(0)
    names = [car.name for car in splits.classes]
    good = photos_of(args.good, set(names))
    chosen = [name for name in names if len(good.get(name, ())) >= 2]
    good = {name: good[name] for name in chosen}
    with tempfile.TemporaryDirectory() as scratch:
        source, kind_of = Path(scratch) / "planted", {}
        for kind in KINDS:
            for number in range(args.num):
                name = chosen[number % len(chosen)]
                turn = number // len(chosen)
                content = planted(kind, turn, name, good, splits.val, rng)
                if content is None:
                    continue
                path = source / name / f"{kind.replace(' ', '-')}-{number}.jpg"
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                kind_of[f"{name}/{path.name}"] = kind
        origin = workflows.as_synthetic(curate.Origin(str(source)), args.root, args.run)
        out = Path(scratch) / "out"
        made = curate.merge_source(
            args.root, origin, out, link="hard",
            targets_of=lambda found: {name: curate.ClassTarget("match", name) for name in found},
        )  # fmt: skip
        causes = read_causes(out, kind_of)
        before, after = (data.read_card(root)["hashes"] for root in (args.root, out))
    total = Counter(kind_of.values())
    print(f"joined {made.counts['joined']}; val and test unchanged:",
          all(before[name] == after[name] for name in ("val", "test")))  # fmt: skip
    print("\n| photos | planted | refused | % | reasons |\n|---|---|---|---|---|")
    for kind in KINDS:
        why = Counter(causes[kind])
        told = ", ".join(f"{count} {cause}" for cause, count in why.most_common())
        num = sum(why.values())
        print(
            f"| {kind} | {total[kind]} | {num} | {100 * num / max(1, total[kind]):.1f} | {told} |"
        )


def read_causes(out, kind_of):
    """Return the first words of the reason of each photo that was left out, by kind."""
    found = defaultdict(list)
    for line in (out / curate.MERGE_LIST).read_text().splitlines():
        row = json.loads(line)
        path = row["path"].split("/", 1)[1]
        reason = row["reason"].split(":")[0]
        short = " ".join(reason.split()[:3])
        found[kind_of[path]].append(short)
    for line in (out / "quarantine.jsonl").read_text().splitlines():
        path = json.loads(line)["path"].split("/", 1)[-1]
        if path in kind_of:
            found[kind_of[path]].append("quarantine")
    return found


def seconds(args):
    """Print the seconds of each part of ``background``, for so many photos."""
    splits = data.read_splits(args.root)
    train = splits.train
    rows = list(range(len(train)))
    start = time.perf_counter()
    masks = car_masks(train, rows, run=args.run, folder=None)
    mask_s = time.perf_counter() - start
    names = tuple(car.name for car in train.classes)
    each = -(-args.num // len(names))
    rule = synth.SynthRule("background", names, each, max_ratio=1e6)
    start = time.perf_counter()
    usable = sorted(masks.found)
    wanted = synth.wanted_photos(train, rule)
    planned = synth.plan_photos(train, rule, wanted, usable)
    planned = synth.choose_grounds(train, rule, planned, masks.found)[: args.num]
    plan_s = time.perf_counter() - start
    maker = synth.Maker(train, rule, masks.found)
    with tempfile.TemporaryDirectory() as scratch:
        start = time.perf_counter()
        decoded = data.decode_files(
            maker.scan(planned).files, Path(scratch), spec=args.root / "card.json"
        ).measured()
        make_s = time.perf_counter() - start
        start = time.perf_counter()
        judge = Filters.of(args.root, args.run, by_class=True).judge(decoded)
        judge({n: one.file.class_name for n, one in enumerate(decoded.samples)})
        judge_s = time.perf_counter() - start
    share = 1000 / max(1, len(planned))
    print(f"masks: {len(masks.found)} of {len(rows)} hold; {len(planned)} photos made")
    print(
        f"seconds per 1,000: masks {1000 * mask_s / len(rows):.0f}, grounds {share * plan_s:.0f},"
    )
    print(f"photos made and measured {share * make_s:.0f}, filters {share * judge_s:.0f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("filters", "seconds"))
    parser.add_argument("root", type=Path, help="frozen folder")
    parser.add_argument("run", type=Path, help="run on it")
    parser.add_argument("--good", type=Path, help="class folders of photos that it does not have")
    parser.add_argument("--num", type=int, default=200, help="photos, of each kind")
    args = parser.parse_args()
    {"filters": filters, "seconds": seconds}[args.what](args)


if __name__ == "__main__":
    main()
