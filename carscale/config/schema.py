"""Every setting of a run, with its unit, default and meaning."""

import os
import re
from pathlib import Path
from typing import Annotated, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
)

SETTINGS_FILE = "config.yaml"
"""Of a run folder."""

Share = Annotated[float, Field(ge=0, lt=1)]
"""A number in [0, 1)."""


PolicyName = Literal[
    "none",
    "simple",
    "standard",
    "geometric",
    "photometric",
    "trivial",
    "rand",
    "erase",
    "degrade",
    "mixup",
    "cutmix",
    "resizemix",
    "snapmix",
    "cmo",
    "strong",
]


MIXING = ("mixup", "cutmix", "resizemix", "snapmix", "cmo", "strong")
"""Policies whose pictures show two photos."""


RebalanceMethod = Literal[
    "auto", "ncm", "tau-norm", "logit-adjust", "lws", "crt", "crt-logit-adjusted"
]
"""How ``carscale rebalance`` makes a classifier layer."""


def expanded(text: str) -> str:
    """Return a path with ``~`` and variables filled in; one that is there is left as it is.

    The shell leaves both alone behind ``run.dir=`` in quotes, and ``~`` always.
    """
    if text.startswith("~"):
        try:
            return str(Path(text).expanduser())
        except RuntimeError:
            name = text.split("/")[0]
            raise ValueError(f"a path, and {name} names no user's home folder") from None
    if "$" in text and not Path(text).exists():
        text = os.path.expandvars(text)
        unset = re.search(r"\$([A-Za-z_]\w*|\{[^}]*\})", text)
        if unset:
            raise ValueError(f"a path, and {unset[0]} is no variable that is set")
    return text


LocalPath = Annotated[str, AfterValidator(expanded)]
"""A path as people type it: ``~/cars``, ``$SCRATCH/runs``."""


class Section(BaseModel):
    """Settings that belong together; frozen, and no other keys."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        allow_inf_nan=False,
        use_attribute_docstrings=True,  # --help shows them
    )


class Data(Section):
    """The frozen photos and how one becomes a square."""

    root: LocalPath = "data/demo"
    """Frozen folder or pack: what ``carscale data freeze`` made."""
    image_px: Annotated[int, Field(ge=16, le=2048)] = 224
    """Side of the model's input."""
    fit: Literal["crop", "pad", "squash"] = "pad"
    """How a photo becomes a square, augmentation aside: centre crop, padding, or another aspect.

    Cars are wide: ``crop`` loses their ends.
    """
    verify: Literal["fast", "full"] = "fast"
    """``fast`` re-hashes what a stat call says may have changed, ``full`` everything."""
    num_folds: NonNegativeInt = 0
    """Cross-validation: cut train into so many folds, train on all but one, which is val; 0: off.

    ``carscale folds`` does so for each fold in turn.
    """
    fold: NonNegativeInt = 0
    """The fold that is not trained on, from 0."""
    partial: Literal["leave", "use"] = "leave"
    """Photos of which only the make is known (``data merge --make-only keep``): train on them too?

    Their loss is that of the make: minus the logarithm of the sum of its classes' probabilities.
    """
    synthetic_share: Share | None = None
    """Of the draws of a class that has synthetic photos, how many show one; null: by their number.

    0 trains on real photos alone; ``balance.sampling`` says how often the class is drawn.
    """


class Loader(Section):
    """How photos are decoded and batched. No setting changes which crop of which photo is shown.

    Backends differ by rounding; ``on_unreadable=fill`` shows a grey square for a broken photo.
    """

    backend: Literal["auto", "torch", "dali_cpu", "dali_gpu"] = "auto"
    """Who decodes and renders. ``auto``: the GPU through DALI where the model would wait."""
    global_batch_size: Annotated[int, Field(ge=2)] = 64
    """Samples per optimizer step, over all processes and micro-steps."""
    eval_batch_size: PositiveInt = 64
    """Samples per evaluation batch, on one process."""
    num_threads: NonNegativeInt = 0
    """Decoding threads a process; 0 takes the process's share of the cores."""
    prefetch: PositiveInt = 2
    """Batches decoded ahead."""
    on_unreadable: Literal["stop", "fill"] = "stop"
    """A train photo that can't be read.

    End the run, or show a grey square, counted and named.
    """


class Augment(Section):
    """How train photos vary; ``carscale data preview`` shows it."""

    policy: PolicyName = "standard"
    crop_scale_min: Annotated[float, Field(gt=0, le=1)] = 0.3
    """Smallest share of the photo's area that a random crop keeps."""
    rotate_degrees: Annotated[float, Field(ge=0, le=45)] = 8.0
    """``standard``, ``geometric``: rotation is uniform in +- this."""
    shift: Annotated[float, Field(ge=0, le=0.5)] = 0.05
    """``standard``, ``geometric``: shift is uniform in +- this share of the output's side."""
    shear: Annotated[float, Field(ge=0, le=0.5)] = 0.1
    """``geometric``: shear factor uniform in +- this, along both axes."""
    brightness: Share = 0.25
    """``standard``: factor uniform in 1 +- this; ``photometric``: twice as wide."""
    contrast: Share = 0.25
    """As brightness."""
    saturation: Share = 0.25
    """As brightness."""
    num_ops: Annotated[int, Field(ge=1, le=4)] = 2
    """``rand``: n, ops a photo."""
    magnitude: Annotated[int, Field(ge=0, le=30)] = 9
    """``rand``: m, their strength of 30."""
    erase_prob: Annotated[float, Field(ge=0, le=1)] = 0.5
    """``erase``: share of photos that lose a rectangle."""
    degrade_prob: Annotated[float, Field(ge=0, le=1)] = 0.3
    """``degrade``: chance of each of blur, noise and JPEG artefacts."""
    blur_sigma_max: Annotated[float, Field(gt=0.3, le=10)] = 2.0
    """``degrade``, ``photometric``: largest sigma of the blur, output px."""
    noise_max: Annotated[float, Field(gt=2, le=64)] = 16.0
    """``degrade``: largest standard deviation of the noise, grey levels."""
    jpeg_quality_min: Annotated[int, Field(ge=5, le=95)] = 25
    """``degrade``: lowest JPEG quality."""
    mix_prob: Annotated[float, Field(ge=0, le=1)] = 1.0
    """Policies that mix: share of the pairs of photos (``cmo``: of the photos) that are mixed."""
    mixup_alpha: Annotated[float, Field(gt=0, le=8)] = 0.2
    """``mixup``, ``strong``: shares are drawn from Beta(alpha, alpha); small ones mix little."""
    cutmix_alpha: Annotated[float, Field(gt=0, le=8)] = 1.0
    """``cutmix``, ``cmo``, ``strong``: as ``mixup_alpha``, of the area; 1 is uniform."""
    snapmix_alpha: Annotated[float, Field(gt=0, le=8)] = 5.0
    """``snapmix``: the same; 5 keeps both areas near a half."""
    cmo_power: Annotated[float, Field(ge=0, le=4)] = 1.0
    """``cmo``: a photo of a class of n is pasted by 1 / n^power; 1 pastes all classes alike."""


class Balance(Section):
    """What evens out a long tail: how often a sample is drawn and what its loss weighs.

    An epoch has as many samples as the train split, whatever the sampling, so that arms of a
    comparison take the same number of steps.
    """

    sampling: Literal[
        "natural",
        "sqrt",
        "balanced",
        "repeat-factor",
        "oversample",
        "undersample",
        "progressive",
    ] = "natural"
    """``natural`` shows each photo once an epoch; ``sqrt``, ``balanced``: a weighted sampler.

    ``oversample`` repeats the photos of small classes, ``undersample`` leaves out those of large
    ones, ``repeat-factor`` repeats mildly, ``progressive`` goes from natural to balanced.
    """
    repeat_threshold: Share = 0.0
    """``repeat-factor``: classes with a smaller share of train are repeated; 0 takes 1 / K."""
    loss: Literal[
        "ce",
        "focal",
        "class-balanced-focal",
        "ldam",
        "logit-adjusted",
        "balanced-softmax",
        "poly",
    ] = "ce"
    gamma: NonNegativeFloat = 2.0
    """Focusing strength of ``focal`` and ``class-balanced-focal``; 0 is cross-entropy."""
    tau: NonNegativeFloat = 1.0
    """``logit-adjusted``: how much of the class shares the logits make up for."""
    ldam_margin: PositiveFloat = 0.5
    """``ldam``: margin of the rarest class, logits."""
    poly_epsilon: Annotated[float, Field(ge=-1)] = 1.0
    """``poly``: weight of the first polynomial term."""
    label_smoothing: Share = 0.0
    """Share of the target spread over all classes; ``class-balanced-focal`` takes none."""
    synthetic_smoothing: Share = 0.0
    """The same of synthetic photos, beside ``label_smoothing``, by any loss."""
    class_weights: Literal["none", "inverse", "sqrt", "effective"] = "none"
    effective_beta: Annotated[float, Field(ge=0, lt=1)] = 0.999
    """``effective``, ``class-balanced-focal``: 0 weighs all alike, towards 1 as ``inverse``."""
    defer_weights: Share = 0.0
    """Deferred re-weighting: share of the run before class weights come in."""


class Model(Section):
    """The network, by timm's name, and where its weights come from."""

    name: str = "tf_efficientnet_lite0"
    pretrained: bool = True
    weights: LocalPath | None = None
    """A ``.safetensors`` or ``.pth`` file, or a run folder; goes before ``pretrained``."""
    attention: Literal["none", "se", "eca", "cbam", "gc"] = "none"
    """Attention layers to add to a network of feature maps; they start as if absent."""
    drop_rate: Share = 0.0
    """Dropout before the classifier."""
    drop_path_rate: Share = 0.0
    """Share of residual branches left out (stochastic depth), rising to this with depth."""


class Optim(Section):
    """How weights move. Steps are optimizer steps, after gradient accumulation."""

    name: Literal["adamw", "sgd"] = "adamw"
    lr: PositiveFloat = 1e-3
    """Peak learning rate, reached after the warm-up; not rescaled with the batch."""
    head_lr_factor: PositiveFloat = 1.0
    """The new classifier's learning rate over that of the rest."""
    weight_decay: NonNegativeFloat = 0.02
    """Not applied to norms and biases."""
    momentum: Share = 0.9
    """``sgd`` only, Nesterov."""
    warmup_epochs: NonNegativeFloat = 1.0
    layer_decay: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Each layer group's learning rate over that of the group above it."""
    freeze_epochs: NonNegativeFloat = 0.0
    """The classifier learns alone for so long, then all does."""


class Train(Section):
    """How long, how exact, how safe."""

    num_epochs: PositiveInt = 12
    max_steps: NonNegativeInt = 0
    """Stop after this many optimizer steps; 0 means ``num_epochs`` decides."""
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto"
    """``auto``: what the launcher asks for; else fp32 on a CPU, bf16 or fp16 on a GPU."""
    accumulate_steps: PositiveInt = 1
    """Micro-steps that a global batch is cut into, to save memory."""
    grad_clip_norm: NonNegativeFloat = 5.0
    """Largest gradient norm; 0 does not clip."""
    ema_decay: Share = 0.0
    """Moving average of the weights, evaluated and saved in their place; 0 keeps none."""
    patience: NonNegativeInt = 0
    """End after this many scored epochs without a better val score; 0 never does."""
    select: Literal["best", "last"] = "best"
    """Which epoch is the run's result. Studies take ``last``: choosing on val biases val."""
    select_metric: Literal["top1", "balanced_accuracy", "macro_f1"] = "top1"
    eval_every_epochs: NonNegativeInt = 1
    """Val is scored after every so many epochs, and after the last in any case; 0: only then.

    ``select=best`` and ``patience`` see scored epochs alone, and are refused where the last is the
    only one. Studies take 0: ``select=last`` needs no other.
    """
    keep_last: PositiveInt = 2
    """Checkpoints to keep, besides the best."""
    checkpoint_every_steps: NonNegativeInt = 0
    """0 writes one at the end of each epoch."""
    num_cpu_threads: NonNegativeInt = 0
    """Threads of one process's arithmetic.

    0 takes its share of the cores. Part of the result, bit for bit.
    """
    log_every_steps: PositiveInt = 10
    """Every step is logged; this is how often the numbers leave the device."""
    log_dynamics: bool = False
    """Keep what the model says of each photo it is shown (``dynamics.bin``, 17 bytes each).

    ``carscale errors`` makes a data map of it: easy, ambiguous and hard photos.
    """
    tracker: Literal["none", "tensorboard", "wandb", "mlflow", "trackio"] = "none"
    grow_from_px: NonNegativeInt = 0
    """Progressive resizing: train photos start at this side and grow to ``data.image_px``.

    0 shows them at full size throughout.
    """


class Finetune(Section):
    """Training on from a run, ``model.weights``: on which photos, and against forgetting."""

    inherit: bool = False
    """Take model, attention, data, size and fit of the run that ``model.weights`` names.

    What the command line or a settings file says goes before. The run stores what it took, and
    ``false``.
    """
    select: LocalPath | None = None
    """Photos to train on more: a table of ``carscale select``."""
    replay: Share = 0.5
    """Share of the draws that are of the rest of train, classes in the proportions that
    ``balance.sampling`` gives them.
    """
    distill: NonNegativeFloat = 0.0
    """Weight of the divergence from what the starting model says of the same pictures; 0: none."""
    pair_margin: NonNegativeFloat = 0.0
    """Margin, logits, by which a class must win over one that its selected photos are taken for."""


class World(Section):
    """The processes that train together."""

    timeout_minutes: PositiveFloat = 10.0
    """A process that was silent, stopped, cut off or hung for so long ends the others by name."""


class Evaluate(Section):
    """How a result predicts. Changes no weight."""

    flip: bool = False
    """Average the probabilities of each photo and its mirror image: twice the time."""
    temperature: Literal["none", "val"] = "none"
    """``val``: logits are divided by the temperature that suits val best; no prediction changes."""


class Run(Section):
    """Where the run lives: ``dir/name``."""

    dir: LocalPath = "runs"
    name: str | None = None
    """The recipe's name when absent."""


class Recipe(Section):
    """All sections; a recipe states those it cares about."""

    data: Data = Data()
    loader: Loader = Loader()
    augment: Augment = Augment()
    balance: Balance = Balance()
    model: Model = Model()
    optim: Optim = Optim()
    train: Train = Train()
    finetune: Finetune = Finetune()
    world: World = World()
    evaluate: Evaluate = Evaluate()
    run: Run = Run()
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 0
    resume: Literal["auto", "never", "overwrite"] = "auto"
    """``auto`` goes on with the folder's newest whole checkpoint, ``never`` wants a new folder.

    ``overwrite`` empties it.
    """

    def num_steps(self, num_samples: int) -> int:
        """Return the optimizer steps of a whole run on so many train samples.

        Example:
            >>> Recipe(train=Train(num_epochs=2)).num_steps(100)  # batches of 64
            4
        """
        whole = -(-self.train.num_epochs * num_samples // self.loader.global_batch_size)
        return min(whole, self.train.max_steps or whole)
