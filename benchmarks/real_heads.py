"""Train thousands of small heads on embeddings of real photos, for ``real_verdicts.py``.

    python benchmarks/real_heads.py data/stanford --out heads --runs 200

Photos are embedded once by the pretrained EfficientNet-Lite0. A part of each class trains, few
photos of most classes; the rest is never trained on and is predicted by each run. A head has one
hidden layer; a seed gives its start, the order of the photos, which view of a photo is seen (as it
is, mirrored, two crops) and what is dropped. Each arm changes one setting of ``PLAIN``.

Axes: N photos, V views, D features, K classes, R runs, B photos of a batch.
"""

import argparse
import dataclasses
import math
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from carscale import config, models
from carscale.types import CarClass

IMAGE_PX, CROP_SHARE, NUM_VIEWS, NUM_KEPT = 160, 0.75, 4, 256
MOST, FEWEST = 24, 3
"""Train photos of the largest and of the smallest class."""


@dataclass(frozen=True)
class Setting:
    """How a head is trained.

    Attributes:
        epochs: Of all train photos.
        local_batch_size, lr, weight_decay: Of AdamW; the rate falls to 0 along a cosine.
        unsteady: Spread of log(lr): each seed draws its own.
        hidden: Features of the hidden layer.
        drop: Share of dropped features, at the input and at the hidden layer.
        smoothing: Of labels.
        weighing: Power of 1 / (photos of a class) that weighs the loss.
        drawing: Power of 1 / (photos of a class) that weighs the draws of photos.
        adjusting: Factor of log(share of a class) that is added to logits while training.
        photos: Share of the train photos, the same for each seed.
        bagged: Each seed draws its own train photos with replacement.
        features: Share of the embedding that is kept.
        averaged: Predictions are the mean over so many heads.
        first_seed: Added to the number of a run.
        shuffled: ``classes`` or ``features`` come in another order, which changes nothing.
    """

    epochs: int = 20
    local_batch_size: int = 256
    lr: float = 0.01
    weight_decay: float = 0.05
    unsteady: float = 0.0
    hidden: int = 128
    drop: float = 0.2
    smoothing: float = 0.0
    weighing: float = 0.0
    drawing: float = 0.0
    adjusting: float = 0.0
    photos: float = 1.0
    bagged: bool = False
    features: float = 1.0
    averaged: int = 1
    first_seed: int = 0
    shuffled: str = ""


PLAIN = Setting()
NULLS = {
    "other seeds 1": {"first_seed": 100_000},
    "other seeds 2": {"first_seed": 200_000},
    "other seeds 3": {"first_seed": 300_000},
    "classes shuffled": {"shuffled": "classes"},
    "features shuffled": {"shuffled": "features"},
}
REAL = {
    "weight decay 0.5": {"weight_decay": 0.5},
    "dropout 0.25": {"drop": 0.25},
    "label smoothing 0.1": {"smoothing": 0.1},
    "class weights": {"weighing": 0.5},
    "balanced draws": {"drawing": 1.0},
    "logit adjustment": {"adjusting": 1.0},
    "19 epochs": {"epochs": 19},
    "14 epochs": {"epochs": 14},
    "90 % of the photos": {"photos": 0.9},
    "70 % of the features": {"features": 0.7},
    "batch of 64, lr 0.03": {"local_batch_size": 64, "lr": 0.03, "epochs": 8},
    "rate drawn by seed": {"unsteady": 0.15},
    "bagged photos": {"bagged": True},
    "mean of 2 heads": {"averaged": 2},
}
ARMS = {"baseline": PLAIN} | {
    name: dataclasses.replace(PLAIN, **changes) for name, changes in (NULLS | REAL).items()
}


def split(folder, rng):
    """Return photos and labels of both parts: train, a long tail, and unseen."""
    parts = {"train": ([], []), "unseen": ([], [])}
    names = sorted(one.name for one in folder.iterdir() if one.is_dir())
    counts_K = np.round(MOST * (FEWEST / MOST) ** np.linspace(0, 1, len(names))).astype(int)
    for label, count in enumerate(rng.permutation(counts_K)):
        photos = sorted((folder / names[label]).iterdir())
        order = rng.permutation(len(photos))
        for part, rows in (("train", order[:count]), ("unseen", order[count:])):
            parts[part][0].extend(photos[row] for row in rows)
            parts[part][1].extend([label] * len(rows))
    return parts


def embed(folder, out):
    """Write the embeddings of all photos; train photos in each view, unseen ones as they are."""
    rng = np.random.default_rng(0)
    cfg, data = config.Model(name="tf_efficientnet_lite0"), config.Data(image_px=IMAGE_PX)
    view = models.preprocessing(cfg, data)
    net = models.build(cfg, view, (CarClass("a", "a"), CarClass("b", "b"))).eval()
    found = {}
    for part, (photos, labels) in split(folder, rng).items():
        num_views = NUM_VIEWS if part == "train" else 1
        rows = []
        for start in range(0, len(photos), 32):
            shown = [see(photo, num_views, rng) for photo in photos[start : start + 32]]
            images_BHWC = torch.from_numpy(np.concatenate(shown))
            with torch.inference_mode():
                normal = (images_BHWC.permute(0, 3, 1, 2).float() - net.mean_C11) * net.factor_C11
                maps = net.net.forward_features(normal)
                rows.append(net.net.forward_head(maps, pre_logits=True).numpy())
        found[f"{part}_NVD"] = np.concatenate(rows).reshape(len(photos), num_views, -1)
        found[f"{part}_labels_N"] = np.array(labels, np.int64)
    np.savez(out, **found)


def see(path, num_views, rng):
    """Return views of a photo, uint8 ``[V, H, W, C]``: as it is, mirrored, crops."""
    with Image.open(path) as photo:
        photo.draft("RGB", (2 * IMAGE_PX, 2 * IMAGE_PX))
        photo = photo.convert("RGB")
    views = []
    for number in range(num_views):
        box = (0, 0, *photo.size)
        if number > 1:
            width, height = (CROP_SHARE**0.5 * side for side in photo.size)
            left = rng.uniform(0, photo.width - width)
            top = rng.uniform(0, photo.height - height)
            box = (left, top, left + width, top + height)
        seen = photo.resize((IMAGE_PX, IMAGE_PX), Image.Resampling.BICUBIC, box)
        pixels = np.asarray(seen)
        views.append(pixels[:, ::-1] if number % 2 else pixels)
    return np.stack(views)


def load(path):
    """Return tensors of both parts, turned to the strongest directions of train and scaled."""
    stored = np.load(path)
    train_NVD, unseen_ND = stored["train_NVD"], stored["unseen_NVD"][:, 0]
    mean_D = train_NVD.mean(axis=(0, 1))
    _, _, turn_DD = np.linalg.svd(train_NVD[:, 0] - mean_D, full_matrices=False)
    train_NVD = (train_NVD - mean_D) @ turn_DD[:NUM_KEPT].T
    unseen_ND = (unseen_ND - mean_D) @ turn_DD[:NUM_KEPT].T
    scale_D = train_NVD.std(axis=(0, 1)) ** 0.5 * train_NVD[..., 0].std() ** 0.5
    return (
        torch.from_numpy(train_NVD / scale_D).float(),
        torch.from_numpy(stored["train_labels_N"]),
        torch.from_numpy(unseen_ND / scale_D).float(),
        torch.from_numpy(stored["unseen_labels_N"]),
    )


def predict(setting, number, data):
    """Train one run and return log-probabilities of the unseen photos."""
    probs_NK = 0
    for member in range(setting.averaged):
        seed = setting.first_seed + number + 1_000_000 * member
        probs_NK = probs_NK + torch.softmax(train_head(setting, seed, data), dim=1)
    return torch.log(probs_NK / setting.averaged)


def train_head(setting, seed, data):
    """Return the logits of one head for the unseen photos."""
    train_NVD, labels_N, unseen_ND, _ = shuffle(setting, data)
    num_classes = int(labels_N.max()) + 1
    counts_K = torch.bincount(labels_N, minlength=num_classes).float()
    # One stream each, so that a setting moves only what it is about; arms share them by seed.
    start, order, noise = (torch.Generator().manual_seed(3 * seed + part) for part in range(3))
    first_DH = torch.randn(train_NVD.shape[2], setting.hidden, generator=start)
    first_DH *= (2 / train_NVD.shape[2]) ** 0.5
    last_HK = torch.randn(setting.hidden, num_classes, generator=start) / setting.hidden**0.5
    params = [first_DH, torch.zeros(setting.hidden), last_HK, torch.zeros(num_classes)]
    for param in params:
        param.requires_grad_()
    luck = float(torch.randn((), generator=torch.Generator().manual_seed(5_000_000 + seed)))
    optim = torch.optim.AdamW(
        params,
        lr=setting.lr * math.exp(setting.unsteady * luck),
        weight_decay=setting.weight_decay,
        fused=True,
    )
    own_N = own_photos(setting, labels_N, order)
    num_steps = setting.epochs * len(labels_N) // setting.local_batch_size
    falling = torch.optim.lr_scheduler.CosineAnnealingLR(optim, num_steps)
    weights_K = counts_K**-setting.weighing
    drawn_N = draws(setting, counts_K[labels_N[own_N]], num_steps, order)
    for step in range(num_steps):
        rows_B = own_N[drawn_N[step * setting.local_batch_size :][: setting.local_batch_size]]
        views_B = torch.randint(train_NVD.shape[1], rows_B.shape, generator=noise)
        logits_BK = head(params, train_NVD[rows_B, views_B], setting.drop, noise)
        logits_BK = logits_BK + setting.adjusting * torch.log(counts_K / counts_K.sum())
        loss = F.cross_entropy(
            logits_BK, labels_N[rows_B], weight=weights_K, label_smoothing=setting.smoothing
        )
        optim.zero_grad()
        loss.backward()
        optim.step()
        falling.step()
    with torch.inference_mode():
        logits_NK = head(params, unseen_ND, 0.0, noise)
    if setting.shuffled == "classes":
        return logits_NK[:, torch.argsort(reorder(num_classes))]
    return logits_NK


def shuffle(setting, data):
    """Return the data with classes or features in another order, or with features left out."""
    train_NVD, labels_N, unseen_ND, unseen_labels_N = data
    if setting.shuffled == "classes":
        labels_N = torch.argsort(reorder(int(labels_N.max()) + 1))[labels_N]
    order_D = torch.arange(train_NVD.shape[2])[: round(setting.features * train_NVD.shape[2])]
    if setting.shuffled == "features":
        order_D = reorder(len(order_D))
    return train_NVD[..., order_D], labels_N, unseen_ND[:, order_D], unseen_labels_N


def reorder(size):
    """Return an order, always the same."""
    return torch.randperm(size, generator=torch.Generator().manual_seed(7))


def head(params, features_BD, drop, noise):
    """Return logits."""
    first_DH, shift_H, last_HK, shift_K = params
    if not drop:
        return torch.relu(features_BD @ first_DH + shift_H) @ last_HK + shift_K
    features_BD = features_BD * kept(features_BD.shape, drop, noise)
    hidden_BH = torch.relu(features_BD @ first_DH + shift_H)
    return hidden_BH * kept(hidden_BH.shape, drop, noise) @ last_HK + shift_K


def kept(shape, drop, noise):
    """Return factors that drop a share and keep the mean."""
    return (torch.rand(shape, generator=noise) >= drop).float() / (1 - drop)


def own_photos(setting, labels_N, order):
    """Return the rows of the train photos that a run sees."""
    if setting.bagged:
        return torch.randint(len(labels_N), labels_N.shape, generator=order)
    few = torch.Generator().manual_seed(11)
    chosen = torch.randperm(len(labels_N), generator=few)[: round(setting.photos * len(labels_N))]
    return torch.sort(chosen).values


def draws(setting, counts_N, num_steps, order):
    """Return which photos each step sees, one step after the other."""
    needed = num_steps * setting.local_batch_size
    if setting.drawing:
        return torch.multinomial(counts_N**-setting.drawing, needed, True, generator=order)
    epochs = -(-needed // len(counts_N))
    return torch.cat([torch.randperm(len(counts_N), generator=order) for _ in range(epochs)])


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("photos", type=Path, help="a folder per class")
    parser.add_argument("--out", type=Path, default=Path("heads"), help="folder")
    parser.add_argument("--runs", type=int, default=200, help="of each arm")
    parser.add_argument("--arms", nargs="*", default=list(ARMS), help="all by default")
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    if not (args.out / "embeddings.npz").exists():
        embed(args.photos, args.out / "embeddings.npz")
    data = load(args.out / "embeddings.npz")
    for name in args.arms:
        start = time.perf_counter()
        predictions_RN = train(name, args.runs, data, args.out / f"{name}.npz")
        right_R = (predictions_RN == data[3].numpy()).mean(axis=1)
        print(f"{name:24} top-1 {100 * right_R.mean():.2f} % sd {100 * right_R.std(ddof=1):.3f},"
              f" {time.perf_counter() - start:.0f} s", flush=True)  # fmt: skip


def train(name, num_runs, data, path):
    """Train the runs of an arm that are not stored yet; return the predictions of all."""
    stored = dict(np.load(path)) if path.exists() else {}
    predictions, losses = [*stored.get("predictions_RN", ())], [*stored.get("losses_RN", ())]
    for number in range(len(predictions), num_runs):
        log_p_NK = predict(ARMS[name], number, data)
        predictions.append(log_p_NK.argmax(dim=1).to(torch.int16).numpy())
        losses.append(F.nll_loss(log_p_NK, data[3], reduction="none").numpy())
    predictions_RN = np.stack(predictions)
    np.savez(path, predictions_RN=predictions_RN, losses_RN=np.stack(losses))
    return predictions_RN


if __name__ == "__main__":
    main()
