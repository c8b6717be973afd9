"""ResNeXt-50 with efficient channel attention added to every block.

Run     accelerate launch recipes/resnext_attention.py data.root=data/cars
Smoke   python recipes/resnext_attention.py model.pretrained=false train.max_steps=2
"""

from carscale import config, pipeline

RECIPE = config.Recipe(
    data=config.Data(root="data/demo", image_px=224, fit="squash"),
    loader=config.Loader(backend="auto", global_batch_size=32),
    augment=config.Augment(policy="standard", crop_scale_min=0.3),
    balance=config.Balance(sampling="natural", loss="ce", label_smoothing=0.1),
    model=config.Model(
        name="resnext50_32x4d", pretrained=True, attention="eca", drop_path_rate=0.1
    ),
    optim=config.Optim(name="adamw", lr=5e-4, head_lr_factor=3.0, weight_decay=0.05),
    train=config.Train(num_epochs=12, ema_decay=0.98, grad_clip_norm=5.0),
)

if __name__ == "__main__":
    pipeline.main("resnext_attention", RECIPE)
