"""EfficientNet-Lite0, square-root sampling, focal loss: for a long tail.

Run     accelerate launch recipes/effnet_focal.py data.root=data/cars
Smoke   python recipes/effnet_focal.py data.image_px=64 train.max_steps=2
"""

from carscale import config, pipeline
from carscale.recipes import effnet_baseline

RECIPE = config.vary(
    effnet_baseline.RECIPE, balance={"sampling": "sqrt", "loss": "focal", "gamma": 1.0}
)

if __name__ == "__main__":
    pipeline.main("effnet_focal", RECIPE)
