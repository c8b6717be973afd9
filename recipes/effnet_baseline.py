"""EfficientNet-Lite0, natural sampling, cross-entropy: what tricks must beat.

Run     accelerate launch recipes/effnet_baseline.py data.root=data/cars
Smoke   python recipes/effnet_baseline.py data.image_px=64 train.max_steps=2
"""

from carscale import config, pipeline

RECIPE = config.Recipe(
    data=config.Data(root="data/demo", image_px=224, fit="squash"),
    loader=config.Loader(backend="auto", global_batch_size=32),
    augment=config.Augment(policy="standard", crop_scale_min=0.3),
    balance=config.Balance(sampling="natural", loss="ce", label_smoothing=0.1),
    model=config.Model(
        name="tf_efficientnet_lite0", pretrained=True, drop_rate=0.2, drop_path_rate=0.1
    ),
    optim=config.Optim(name="adamw", lr=1e-3, head_lr_factor=3.0, warmup_epochs=1),
    train=config.Train(num_epochs=12, ema_decay=0.98, grad_clip_norm=5.0),
)

if __name__ == "__main__":
    pipeline.main("effnet_baseline", RECIPE)
