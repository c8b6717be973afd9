"""Parameter groups, average and optimizer state."""

import pytest
import torch

from carscale import balance, config, models
from carscale.training import Learner
from carscale.training.learner import parameter_groups
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


@pytest.mark.parametrize("name", ["test_vit", "test_efficientnet", "test_resnet"])
def test_layer_decay_scales_as_timm_does(name):
    from timm.optim import param_groups_layer_decay

    model = build(name)
    timms = param_groups_layer_decay(
        model.net,
        weight_decay=0.1,
        layer_decay=0.7,
        no_weight_decay_list=getattr(model.net, "no_weight_decay", set)(),
    )
    wanted = {id(p): (g["lr_scale"], g["weight_decay"]) for g in timms for p in g["params"]}
    groups = parameter_groups(model, weight_decay=0.1, head_lr_factor=3.0, layer_decay=0.7)
    assert len({group["lr_factor"] for group in groups}) > 3
    head = model.head_parameters()
    got = {
        id(p): (group["lr_factor"] / (3.0 if id(p) in head else 1.0), group["weight_decay"])
        for group in groups
        for p in group["params"]
    }
    assert got.keys() == wanted.keys()
    for key, (scale, weight_decay) in wanted.items():
        assert got[key] == (pytest.approx(scale), weight_decay)


def test_without_layer_decay_groups_and_their_order_stay():
    model = build()
    plain = parameter_groups(model, weight_decay=0.1, head_lr_factor=3.0)
    decayed = parameter_groups(model, weight_decay=0.1, head_lr_factor=3.0, layer_decay=1.0)
    assert [(g["lr_factor"], g["weight_decay"]) for g in plain] == [
        (1.0, 0.0),
        (1.0, 0.1),
        (3.0, 0.0),
        (3.0, 0.1),
    ]
    for one, two in zip(plain, decayed, strict=True):
        assert list(map(id, one["params"])) == list(map(id, two["params"]))


@pytest.mark.parametrize(
    "name", ["test_efficientnet", "test_resnet", "test_convnext", "regnetx_002"]
)
def test_added_attention_learns_as_the_last_layer_and_moves_no_other(name):
    view = View(image_px=32)
    plain = build(name).layer_numbers()
    cfg = config.Model(name=name, pretrained=False, attention="se")
    model = models.build(cfg, view, CLASSES)
    numbers = model.layer_numbers()
    assert {key: numbers[key] for key in plain} == plain
    added = numbers.keys() - plain.keys()
    assert {numbers[key] for key in added} == {max(plain.values())}
    groups = parameter_groups(model, weight_decay=0.1, head_lr_factor=3.0, layer_decay=0.7)
    named = dict(model.named_parameters())
    for group in groups:
        members = set(map(id, group["params"]))
        for key in added:
            if id(named[key]) in members:
                assert group["lr_factor"] == 1.0
                assert group["weight_decay"] == (0.1 if named[key].ndim > 1 else 0.0)


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
            mine.update_ema(step)
        torch.testing.assert_close(mine.eval_model.net.get_classifier().weight, expected)
        assert mine.eval_model is mine.ema


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
