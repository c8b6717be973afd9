"""ConvNeXt-Tiny from ImageNet-22k: the classifier first, then all, lower layers slower.

Run     accelerate launch recipes/convnext_finetune.py data.root=data/cars
Smoke   python recipes/convnext_finetune.py model.pretrained=false train.max_steps=2
"""

from carscale import config, pipeline

RECIPE = config.Recipe(
    data=config.Data(root="data/demo", image_px=224, fit="squash"),
    loader=config.Loader(backend="auto", global_batch_size=32),
    augment=config.Augment(policy="standard", crop_scale_min=0.3),
    balance=config.Balance(sampling="natural", loss="ce", label_smoothing=0.1),
    model=config.Model(name="convnext_tiny.in12k_ft_in1k", pretrained=True, drop_path_rate=0.1),
    optim=config.Optim(
        lr=3e-4, head_lr_factor=3.0, weight_decay=0.05, layer_decay=0.9, freeze_epochs=1
    ),
    train=config.Train(num_epochs=12, ema_decay=0.99, grad_clip_norm=5.0),
)

if __name__ == "__main__":
    pipeline.main("convnext_finetune", RECIPE)
