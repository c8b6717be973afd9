"""A study of random predictions."""

import numpy as np
from folders import arm_runs

from carscale.verdicts.interactions import Interaction
from carscale.verdicts.metrics import METRICS
from carscale.verdicts.study_result import ArmResult, RunRow, StudyAbout, StudyClass, StudyResult
from carscale.verdicts.verdict import ArmRuns, judge_arms

GAINS = {"sampler": 0.15, "focal": -0.15, "smoothing": 0.0}
WORDS = {
    "title": "Study: balance",
    "intro": "Which remedies pay?",
    "command": "carscale study recipes/studies/balance.yaml",
}


def make_study(
    *, num_classes=12, num_photos=1200, gains=GAINS, num_seeds=3, with_costs=True, rename=None
):
    """Return a study; ``rename`` maps names of arms and classes to hostile ones."""
    rng = np.random.default_rng(0)
    named = rename or (lambda name: name)
    labels_N = np.arange(num_photos) % num_classes
    ease_N = rng.random(num_photos)
    base = rng.random((num_seeds, num_photos)) < ease_N
    seeds = tuple(range(num_seeds))
    right = {
        named(name): rng.random((num_seeds, num_photos)) < ease_N + gain
        for name, gain in gains.items()
    }
    natural = arm_runs(base, labels_N, seeds)
    runs = {name: arm_runs(rows, labels_N, seeds) for name, rows in right.items()}
    none = ArmRuns((), np.empty((0, 0), int), np.empty((0, 0)))
    arms = {named("natural"): natural, **runs, named("unfinished"): none}
    verdicts = judge_arms(arms, named("natural"), labels_N)
    arms = [_arm(named("natural"), base, labels_N, None, with_costs)]
    arms += [
        _arm(name, right.get(name), labels_N, verdict, with_costs)
        for name, verdict in verdicts.items()
    ]
    return StudyResult(
        about=StudyAbout(
            split="val", metric="top1", metric_label=METRICS["top1"], margin=0.01, level=0.95,
            baseline=named("natural"), num_photos=num_photos, num_classes=num_classes,
            hashes={"split": "d" * 64, "train": None},
        ),
        classes=[
            StudyClass(named(f"Make M{k} 2012"), int((labels_N == k).sum()), 100 - k % 90)
            for k in range(num_classes)
        ],
        arms=arms,
        interactions=[
            Interaction("sampler", "focal", "both", None, is_flagged=True,
                        sentence=named("sampler and focal: together they do less")),
        ],
    )  # fmt: skip


def _arm(name, right, labels_N, verdict, with_costs):
    by_seed = {one.seed: one for one in verdict.seeds} if verdict else {}
    runs = [
        RunRow(
            folder=f"runs/{name}-{seed}", seed=seed, value=float(row.mean()),
            difference=by_seed[seed].difference if by_seed else None,
            num_gained=by_seed[seed].num_gained if by_seed else None,
            num_lost=by_seed[seed].num_lost if by_seed else None,
            mcnemar_p=by_seed[seed].mcnemar_p if by_seed else None,
            train_s=60.0 + len(name) if with_costs else None,
            memory_gib=1.25 if with_costs else None,
            command=f"accelerate launch recipes/{name}.py seed={seed}",
        )
        for seed, row in enumerate([] if right is None else right)
    ]  # fmt: skip
    return ArmResult(
        name=name,
        is_baseline=verdict is None,
        settings=(f"balance.loss: ce -> {name}",) if verdict else (),
        value=float(np.mean([run.value for run in runs])) if runs else None,
        verdict=verdict,
        runs=tuple(runs),
        train_s=runs[0].train_s if runs else None,
        memory_gib=runs[0].memory_gib if runs else None,
        notes=() if runs else (f"runs/{name}-0: no predictions of val yet",),
    )
