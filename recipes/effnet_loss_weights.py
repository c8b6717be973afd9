"""EfficientNet-Lite0, class weights by the effective number of photos.

Run     accelerate launch recipes/effnet_loss_weights.py data.root=data/cars
Smoke   python recipes/effnet_loss_weights.py data.image_px=64 train.max_steps=2
"""

from carscale import config, pipeline
from carscale.recipes import effnet_baseline

RECIPE = config.vary(
    effnet_baseline.RECIPE, balance={"class_weights": "effective", "effective_beta": 0.99}
)

if __name__ == "__main__":
    pipeline.main("effnet_loss_weights", RECIPE)
