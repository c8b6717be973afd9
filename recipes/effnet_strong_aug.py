"""EfficientNet-Lite0, RandAugment, erasing, mixup and cutmix: for long trainings.

Run     accelerate launch recipes/effnet_strong_aug.py data.root=data/cars
Smoke   python recipes/effnet_strong_aug.py data.image_px=64 train.max_steps=2
"""

from carscale import config, pipeline
from carscale.recipes import effnet_baseline

RECIPE = config.vary(
    effnet_baseline.RECIPE, augment={"policy": "strong", "mix_prob": 0.5, "erase_prob": 0.25}
)

if __name__ == "__main__":
    pipeline.main("effnet_strong_aug", RECIPE)
