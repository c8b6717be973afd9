r"""Train on from a run, on photos like its mistakes: the classifier first, then all, slowly.

First   carscale select runs/effnet_baseline hard.parquet --by confused-pairs
Run     accelerate launch recipes/finetune_hard.py model.weights=runs/effnet_baseline \
          finetune.select=hard.parquet
"""

from carscale import config, pipeline
from carscale.recipes import effnet_baseline

RECIPE = config.vary(
    effnet_baseline.RECIPE,
    optim={"lr": 3e-4, "head_lr_factor": 3.0, "layer_decay": 0.8, "freeze_epochs": 1},
    train={"num_epochs": 4, "ema_decay": 0.95},
    finetune={"inherit": True, "replay": 0.5, "distill": 0.5},
)

if __name__ == "__main__":
    pipeline.main("finetune_hard", RECIPE)
