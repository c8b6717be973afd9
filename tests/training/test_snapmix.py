"""SnapMix: labels count as much as the model sees of them, against a naive loop."""

import numpy as np
import pytest
import torch

from carscale import balance, config, models
from carscale.augment import partners
from carscale.errors import ConfigError, ModelError
from carscale.training import Learner
from carscale.types import Batch, CarClass, View
from carscale.world import open_world

SIDE = 64
CLASSES = tuple(CarClass(str(k), str(k)) for k in range(4))


def learner_of(name="test_efficientnet"):
    torch.manual_seed(0)
    model = models.build(config.Model(name=name, pretrained=False), View(SIDE), CLASSES)
    loss = balance.loss(config.Balance(), np.ones(4, np.int64))
    return Learner(model, loss, config.Optim())


def mixed(learner, batch):
    with open_world(num_cpu_threads=1) as world:
        return learner.mixed(batch, world)


def batch_of(count=6):
    rng = np.random.default_rng(1)
    images = torch.from_numpy(rng.integers(0, 256, (count, 3, SIDE, SIDE), dtype=np.uint8))
    corner = rng.integers(0, SIDE // 2, (count, 2))
    swap = np.concatenate([corner, rng.integers(4, SIDE // 2, (count, 2))], axis=1)
    swap[-2:] = 0  # a pair that is not mixed
    labels_B, other_B = torch.arange(count) % 4, partners(count)
    return Batch(
        images.contiguous(memory_format=torch.channels_last),
        labels_B,
        labels_B,
        partner_labels_B=labels_B[other_B],
        swap_B4=swap,
        source_B4=swap[other_B],
    )


def naive_share(map_HW, box):
    left, top, width, height = box
    part = sum(map_HW[y][x] for y in range(top, top + height) for x in range(left, left + width))
    return part / sum(map(sum, map_HW))


def test_label_weights_are_a_naive_loops():
    learner, batch = learner_of(), batch_of()
    net = learner.model.net.eval()
    with torch.no_grad():
        pixels = (batch.images_BCHW.float() - learner.model.mean_C11) * learner.model.factor_C11
        features = net.forward_features(pixels)
    weight, found = net.get_classifier().weight, mixed(learner, batch)
    maps = []
    for row, label in enumerate(batch.labels_B.tolist()):
        small = sum(weight[label, d] * features[row, d] for d in range(features.shape[1]))
        large = torch.nn.functional.interpolate(small[None, None], (SIDE, SIDE), mode="bilinear")
        maps.append((large[0, 0] - large.min()).tolist())
    for row in range(len(batch.labels_B)):
        own = 1 - naive_share(maps[row], batch.swap_B4[row].tolist())
        other = naive_share(maps[row ^ 1], batch.source_B4[row].tolist())
        assert float(found.own_share_B[row]) == pytest.approx(own, abs=1e-4)
        assert float(found.partner_share_B[row]) == pytest.approx(other, abs=1e-4)
    assert (found.own_share_B[-2:] == 1).all()
    assert (found.partner_share_B[-2:] == 0).all()
    assert torch.equal(found.images_BCHW[-2:], batch.images_BCHW[-2:])
    logits_BK = torch.randn(6, 4)
    terms = [
        torch.nn.functional.cross_entropy(logits_BK, labels, reduction="none")
        for labels in (batch.labels_B, batch.partner_labels_B)
    ]
    wanted = found.own_share_B * terms[0] + found.partner_share_B * terms[1]
    torch.testing.assert_close(learner.loss.batch_sum(logits_BK, found), wanted.sum())


def test_weights_do_not_depend_on_the_cut_and_training_goes_on_as_it_was():
    learner, batch = learner_of(), batch_of()
    learner.model.train()
    learner.model.net.bn1.eval()  # as a frozen norm is
    was = [module.training for module in learner.model.modules()]
    before = {name: value.clone() for name, value in learner.model.state_dict().items()}
    whole = mixed(learner, batch)
    halves = []
    for part in (slice(0, 2), slice(2, 6)):
        kept = {name: value for name, value in vars(batch).items() if hasattr(value, "shape")}
        halves.append(mixed(learner, Batch(**{name: kept[name][part] for name in kept})))
    for name in ("own_share_B", "partner_share_B"):
        joined = torch.cat([getattr(half, name) for half in halves])
        torch.testing.assert_close(joined, getattr(whole, name), atol=1e-5, rtol=1e-4)
    assert [module.training for module in learner.model.modules()] == was
    for name, value in learner.model.state_dict().items():
        assert torch.equal(value, before[name])


def test_a_flat_map_counts_by_area():
    learner, batch = learner_of(), batch_of()
    torch.nn.init.zeros_(learner.model.linear_head().weight)
    found = mixed(learner, batch)
    area_B = torch.from_numpy(batch.swap_B4[:, 2:].prod(axis=1) / SIDE**2).float()
    torch.testing.assert_close(found.own_share_B, 1 - area_B)
    torch.testing.assert_close(found.partner_share_B, area_B[partners(6)])


def test_networks_and_photos_without_maps_are_refused():
    for name in ("test_vit", "test_convnext"):  # tokens; a norm behind the mean
        with pytest.raises(ModelError, match=r"take augment\.policy=cutmix"):
            learner_of(name).model.check_class_maps(SIDE)
    for name in ("test_efficientnet", "test_resnet"):
        learner_of(name).model.check_class_maps(SIDE)
    with pytest.raises(ConfigError, match="no class to draw a map of"):
        config.resolve(config.Recipe(), ["augment.policy=snapmix", "data.partial=use"])
