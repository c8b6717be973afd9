"""Parameter groups, average and optimizer state."""

import pytest
import torch

from carscale import balance, config, models
from carscale.train import Learner
from carscale.train.learner import parameter_groups
from carscale.types import CarClass, View
from carscale.world import open_world

CLASSES = tuple(CarClass(str(k), str(k)) for k in range(4))


def build(name: str = "test_vit") -> models.Classifier:
    torch.manual_seed(0)
    return models.build(config.Model(name=name, pretrained=False), View(image_px=32), CLASSES)


def learner(**optim: object) -> Learner:
    loss = balance.loss(config.Balance(), torch.ones(4).long().numpy())
    return Learner(build(), loss, config.Optim(**optim))


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet", "test_convnext"])
def test_groups_hold_every_parameter_once_and_decay_matrices_only(name):
    model = build(name)
    groups = parameter_groups(model, weight_decay=0.1, head_lr_factor=3.0)
    members = [id(p) for group in groups for p in group["params"]]
    assert sorted(members) == sorted(id(p) for p in model.parameters())
    for group in groups:
        for parameter in group["params"]:
            if parameter.ndim <= 1:
                assert group["weight_decay"] == 0
    head = {id(p) for p in model.net.get_classifier().parameters()}
    assert {id(p) for g in groups if g["lr_factor"] == 3.0 for p in g["params"]} == head
    assert any(group["weight_decay"] == 0.1 for group in groups)
    if name == "test_vit":
        position = id(model.net.pos_embed)
        assert all(position not in map(id, g["params"]) for g in groups if g["weight_decay"])


def test_average_is_the_recursion():
    with open_world(num_cpu_threads=1) as world:
        mine = learner()
        mine.prepare(world, ema_decay=0.5)
        weight = mine.model.net.get_classifier().weight
        expected = weight.detach().clone()
        for step, decay in enumerate([0.1, 2 / 11, 0.25, 4 / 13]):
            with torch.no_grad():
                weight.add_(1.0)
            expected = decay * expected + (1 - decay) * weight.detach()
            mine.update_average(step)
        torch.testing.assert_close(mine.result.net.get_classifier().weight, expected)
        assert mine.result is mine.average


@pytest.mark.parametrize("optim", [{"name": "adamw"}, {"name": "sgd"}])
def test_optimizer_state_comes_back_bit_by_bit(optim):
    images = torch.randint(0, 255, (4, 3, 32, 32), dtype=torch.uint8)

    def step(mine: Learner) -> None:
        mine.set_lr(3, num_steps=10, warmup_steps=2)
        mine.forward(images).logsumexp(1).sum().backward()
        mine.optimizer.step()
        mine.optimizer.zero_grad()

    with open_world(num_cpu_threads=1) as world:
        first, second = learner(**optim), learner(**optim)
        first.prepare(world, ema_decay=0)
        step(first)
        second.model.load_state_dict(first.model.state_dict())
        second.prepare(world, ema_decay=0)
        stored = {name: tensor.clone() for name, tensor in first.optimizer_tensors().items()}
        second.load_optimizer_tensors(stored)
        step(first)
        step(second)
        for a, b in zip(first.model.parameters(), second.model.parameters(), strict=True):
            assert torch.equal(a, b)
