"""Which settings may change when a run goes on."""

from __future__ import annotations

FREE_ON_RESUME = (
    "run",
    "resume",
    "data.root",
    "data.verify",
    "loader.num_threads",
    "loader.prefetch",
    "loader.eval_batch_size",  # what an error of too little memory says to lower
    "train.keep_last",
    "train.checkpoint_every_steps",
    "train.log_every_steps",
    "train.tracker",
    "world",
    "evaluate.temperature",
)
"""Settings that do not change the result; data are compared by hash."""
