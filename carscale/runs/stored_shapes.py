"""What a run folder's JSON files hold, as far as somebody reads it."""

from __future__ import annotations

from carscale.shapes import NUMBER, NUMBER_OR_NONE

CLASSES = {
    "classes": [
        {"name": str, "folder": str, "make?": str, "model?": str, "body?": str, "year?": int}
    ]
}
ENVIRONMENT = {
    "recipe?": str,
    "started?": str,
    "command?": (list, str),
    "backend?": str,
    "data?": {
        "root?": str,
        "root_from_run?": str,
        "absolute_root?": str,
        "hashes?": {str: str},
        "train_counts?": [int],
        "counts?": {str: int},
    },
    "model?": {"name?": str, "num_parameters?": int},
    "versions?": {str: str},
    "refined?": {"how": str, "from?": [str]},
}
LOG = {
    "event?": str,
    "step?": int,
    "epoch?": NUMBER,
    "loss?": NUMBER,
    "lr?": NUMBER,
    "grad_norm?": NUMBER,
    "is_best?": bool,
    "val?": {str: NUMBER_OR_NONE},
    "num_unreadable?": int,
}
TIMING = {
    "step?": int,
    "elapsed_s?": NUMBER,
    "images_per_s?": NUMBER,
    "wait_share?": NUMBER,
    "memory_gib?": NUMBER,
}
_CLASS_NUMBERS = ("support", "recall", "precision", "f1", "train_count")
METRICS = {
    str: {
        "num_samples?": int,
        "per_class?": [
            {"class": str, "has_low_recall?": bool}
            | {f"{name}?": NUMBER for name in _CLASS_NUMBERS}
        ],
        "low_recall_classes?": [str],
    }
}
CALIBRATION = {"temperature": NUMBER, "checkpoint?": str, "flip?": bool}
TEST_EVALUATION = {"time?": str, "command?": str, "checkpoint?": str, "top1?": NUMBER}
CHECKPOINT_CARD = {
    "view": {
        **{"image_px": int, "fit": str, "interpolation": str},
        **{"mean": [NUMBER], "std": [NUMBER]},
    },
    **CLASSES,
}
CHECKPOINT_STATE = {
    **{"files": {str: int}, "step": int, "best_step": int, "best_score?": NUMBER},
    **{"log_bytes": int, "timing_bytes": int},
}
