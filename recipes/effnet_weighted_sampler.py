"""EfficientNet-Lite0, a weighted sampler that draws all classes alike.

Run     accelerate launch recipes/effnet_weighted_sampler.py data.root=data/cars
Smoke   python recipes/effnet_weighted_sampler.py data.image_px=64 train.max_steps=2
"""

from carscale import config, pipeline
from carscale.recipes import effnet_baseline

RECIPE = config.vary(effnet_baseline.RECIPE, balance={"sampling": "balanced"})

if __name__ == "__main__":
    pipeline.main("effnet_weighted_sampler", RECIPE)
