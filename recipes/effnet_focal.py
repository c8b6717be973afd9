"""EfficientNet-Lite0, square-root sampling, focal loss: for a long tail.

Run     accelerate launch recipes/effnet_focal.py data.root=data/cars
Smoke   python recipes/effnet_focal.py data.image_px=64 train.max_steps=2
"""

from carscale import augment, balance, config, data, evaluation, loaders, models, training
from carscale.world import start_run

RECIPE = config.Recipe(
    data=config.Data(root="data/demo", image_px=224, fit="squash"),
    loader=config.Loader(backend="auto", global_batch_size=32),
    augment=config.Augment(policy="standard", crop_scale_min=0.3),
    balance=config.Balance(sampling="sqrt", loss="focal", gamma=1.0, label_smoothing=0.1),
    model=config.Model(
        name="tf_efficientnet_lite0", pretrained=True, drop_rate=0.2, drop_path_rate=0.1
    ),
    optim=config.Optim(name="adamw", lr=1e-3, head_lr_factor=3.0, warmup_epochs=1),
    train=config.Train(num_epochs=12, ema_decay=0.98, grad_clip_norm=5.0),
)


def main(cfg: config.Recipe) -> None:
    """Train, and predict val with the result."""
    with start_run("effnet_focal", cfg) as run:  # run folder, seed, process check
        # data: frozen splits, never re-drawn here
        splits = data.load(cfg.data)

        # order and augmentation: pure functions of (seed, stream position)
        view = models.preprocessing(cfg.model, cfg.data)  # size, fit, interpolation, mean, std
        policy = augment.policy(cfg.augment, view)
        sampler = balance.sampler(cfg, splits.train)
        resize_schedule = loaders.resize_schedule(cfg, len(splits.train))  # progressive resizing
        loader_cfg = loaders.resolve_backend(
            cfg, run, splits.train, policy
        )  # auto -> a backend, once
        train_loader = loaders.train_loader(
            loader_cfg,
            splits.train,
            policy,
            run.world,
            seed=cfg.seed,
            sampler=sampler,
            resize_schedule=resize_schedule,
        )
        val_loader = loaders.eval_loader(loader_cfg, splits.val, view, run.world)

        # model and loss
        model = models.build(cfg.model, view, splits.classes)  # normalises uint8 itself
        loss_fn = balance.loss(cfg.balance, splits.train.counts_K, splits.train.class_sets)

        # train; val is scored after each epoch
        learner = training.Learner(model, loss_fn, cfg.optim)
        scorer = evaluation.Scorer(val_loader, flip=cfg.evaluate.flip)
        training.fit(cfg.train, run, learner, train_loader, score=scorer)

        # predict once with the result; every later report reads this file
        best = training.load_best(run, model)
        predictions = evaluation.predict(best, val_loader, run.world, flip=cfg.evaluate.flip)
        run.save_predictions("val", predictions)


if __name__ == "__main__":
    main(config.parse(RECIPE))
