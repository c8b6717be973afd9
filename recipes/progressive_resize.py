"""EfficientNet-Lite0, four epochs of squares that grow to 224 px: a good model, soon.

Run     accelerate launch recipes/progressive_resize.py data.root=data/cars
Smoke   python recipes/progressive_resize.py train.grow_from_px=64 train.max_steps=2
"""

from carscale import config, pipeline

RECIPE = config.Recipe(
    data=config.Data(root="data/demo", image_px=224, fit="squash"),
    loader=config.Loader(backend="auto", global_batch_size=16),
    augment=config.Augment(policy="simple", crop_scale_min=0.5),
    balance=config.Balance(sampling="natural", loss="ce", label_smoothing=0.1),
    model=config.Model(name="tf_efficientnet_lite0", pretrained=True),
    optim=config.Optim(name="adamw", lr=1.5e-3, head_lr_factor=10.0, warmup_epochs=0.5),
    train=config.Train(num_epochs=4, grow_from_px=144, grad_clip_norm=5.0),
)

if __name__ == "__main__":
    pipeline.main("progressive_resize", RECIPE)
