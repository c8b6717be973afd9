"""Actions that make another run: another layer, another augmentation, training on. N samples."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

import numpy as np

from carscale import config
from carscale.analysis.groups import SETTINGS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from carscale.analysis.result import Confusions, Evidence, Group, Hardness


REBALANCED = 0.09
"""Share of all mistakes that another classifier layer mends on a long tail; see
``benchmarks/studies_cpu2_2026-11.md``: 44.5 % of test right instead of 39.3 %."""
MIN_TAIL = 3.0
"""Photos of the largest class over those of the smallest, where that is a long tail."""
REBALANCE_S = 30.0
FINETUNE = shlex.quote(str(config.packaged("finetune_hard")))
MIN_GROUP_SHARE = 0.03
MENDED = {"dark": 0.85}
"""Share of a group's mistakes that its augmentation mends, where that was measured: on photos that
were darkened on purpose, ``benchmarks/causes_cpu2_2026-11.md``."""
LIGHT = (0.25, 0.45)
"""Least and most ``augment.brightness``; ``photometric`` doubles it."""


def rebalancing(evidence: Evidence) -> list[dict[str, Any]]:
    """Suggest another classifier layer where train has a long tail, and the run none yet."""
    counts_K = evidence.train_counts_K
    if counts_K is None or not len(counts_K) or counts_K.min() < 1:
        return []
    tail = float(counts_K.max() / counts_K.min())
    if tail < MIN_TAIL or "rebalance" in evidence.settings.get("recipe", ""):
        return []
    predictions = evidence.predictions
    num_wrong = int((predictions.prediction_N != predictions.labels_N).sum())
    made = "carscale rebalance RUN && " if not evidence.settings.get("rebalanced") else ""
    return [
        {
            "kind": "rebalance",
            "title": "Rebalance the classifier layer",
            "why": f"Classes have {counts_K.min()} to {counts_K.max()} train photos. Another layer "
            "on the same network, in seconds, mended 9 % of all mistakes on a tail of ten to one; "
            "val chooses whether any is better here.",
            "command": f"{made}carscale compare RUN DIR/NAME-rebalanced --metric macro_f1",
            "num_mistakes": num_wrong,
            "gain": REBALANCED * num_wrong,
            "seconds": REBALANCE_S,
        }
    ]


def augmentations(evidence: Evidence, groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Suggest the augmentation that makes train photos like those of a group.

    A mistake counts for its primary cause alone: of dark photos most look odd, too.
    """
    num_wrong = int((evidence.predictions.labels_N != evidence.predictions.prediction_N).sum())
    actions: list[dict[str, Any]] = []
    for group in groups:
        setting, words = _setting(group, evidence)
        if setting is None or group.num_primary < max(2, MIN_GROUP_SHARE * num_wrong):
            continue
        actions.append(
            {
                "kind": "augment",
                "title": f"Try {setting}",
                "why": f"{group.num_primary} mistakes are in the group “{group.title}” before any "
                f"other: {words}.",
                "command": f"accelerate launch RECIPE config=RUN/config.yaml {setting} "
                f"run.name=NAME-{group.name} && carscale compare RUN DIR/NAME-{group.name}",
                "num_mistakes": group.num_primary,
                "gain": MENDED[group.name] * group.num_primary if group.name in MENDED else None,
                "seconds": _seconds(setting, evidence),
                "group": group.name,
                "setting": setting,
            }
        )
    return actions


def _setting(group: Group, evidence: Evidence) -> tuple[str | None, str]:
    """Return the setting to try for a group, and what it does; none that the run already has."""
    settings = evidence.settings
    if group.name == "other-year":
        if "data.image_px" not in settings:
            return None, ""
        more_px = -(-int(settings["data.image_px"]) * 3 // 2 // 32) * 32
        return f"data.image_px={more_px}", "details that tell years apart need a higher resolution"
    setting, words = SETTINGS.get(group.name, ("", ""))
    if group.name in ("dark", "bright") and (width := _light(group, evidence)):
        setting += f" augment.brightness={width:.2g}"
        words = f"train photos from {1 - 2 * width:.1f} to {1 + 2 * width:.1f} times as bright"
    return (None, "") if not setting or _is_had(setting, settings) else (setting, words)


def _seconds(setting: str, evidence: Evidence) -> float | None:
    """Return what the run took; with more pixels, as many times more."""
    key, _, value = setting.partition("=")
    if evidence.train_s is None or key != "data.image_px":
        return evidence.train_s
    return evidence.train_s * (int(value) / int(evidence.settings[key])) ** 2


def _is_had(setting: str, settings: dict[str, str]) -> bool:
    """Tell whether a run has a setting already, or more of it."""
    policy, *others = [word.split("=") for word in setting.split()]
    return settings.get(policy[0]) == policy[1] and all(
        float(settings.get(key, 0)) >= float(value) for key, value in others
    )


def _light(group: Group, evidence: Evidence) -> float | None:
    """Return ``augment.brightness`` by which others become as dark or bright as a group's photos.

    ``photometric`` doubles it.
    """
    brightness_N = evidence.attributes.get("brightness")
    if brightness_N is None:
        return None
    is_other_N = np.ones(len(brightness_N), dtype=bool)
    is_other_N[group.rows_G] = False
    flagged_N = evidence.flags.get(group.name)
    if flagged_N is not None:
        is_other_N &= ~flagged_N
    if not is_other_N.any():
        return LIGHT[1]
    theirs = float(np.nanmedian(brightness_N[group.rows_G]))
    usual = float(np.nanmedian(brightness_N[is_other_N]))
    if not usual > 0 or not np.isfinite(theirs):
        return None
    return float(np.clip(abs(1 - theirs / usual) / 2, *LIGHT))


def fine_tuning(
    evidence: Evidence,
    hardness: Hardness | None,
    confusions: Confusions,
    augmented: Sequence[dict[str, Any]],
) -> list[dict[str, Any]]:
    """Suggest training on, on train samples by the best rule for which there is evidence.

    With the augmentation that is advised for the largest group of photos, where there is one.
    """
    train = evidence.train
    if train is None or "finetune" in evidence.settings.get("recipe", ""):
        return []
    has_both = train.embeddings_MD is not None and evidence.embeddings_ND is not None
    confused = sum(pair.total for pair in confusions.pairs if pair.p < 0.05)
    folds, predictions = train.folds, evidence.predictions
    is_missed = folds is not None and bool((folds.prediction_N != folds.labels_N).any())
    rules = {
        "confused-pairs": ("of classes that are confused", has_both and confused > 0),
        "hard": ("that models misclassify which did not train on them", is_missed),
        "forgotten": ("that were forgotten while training", hardness is not None),
    }
    by = next((name for name, (_, is_there) in rules.items() if is_there), None)
    if by is None:
        return []
    num_wrong = int((predictions.prediction_N != predictions.labels_N).sum())
    policies = [one for one in augmented if one["setting"].startswith("augment.")]
    largest = max(policies, key=lambda one: one["num_mistakes"], default={"setting": ""})
    setting = f" {largest['setting']}" if largest["setting"] else ""
    more = f", and all are augmented for the largest group ({largest['setting']})"
    more = more if setting else ""
    return [
        {
            "kind": "fine-tune",
            "title": f"Fine-tune on train photos {rules[by][0]}",
            "why": f"Training goes on from this run, half of the draws on these photos{more}; what "
            "that brings is not measured, and the gate tells what it breaks.",
            "command": f"carscale select RUN NAME-{by}.parquet --by {by} && accelerate launch "
            f"{FINETUNE} model.weights=RUN finetune.select=NAME-{by}.parquet{setting} run.dir=DIR "
            "run.name=NAME-tuned && carscale gate RUN DIR/NAME-tuned",
            "num_mistakes": confused if by == "confused-pairs" else num_wrong,
            "by": by,
        }
    ]
