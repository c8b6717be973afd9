"""What a model costs: the numbers of papers, and nothing of the model changes."""

import pytest
import torch

from carscale import config, models
from carscale.types import CarClass, View

PAPER = {  # millions of parameters and GMACs at 224 px, 1000 classes
    "resnet50": (25.6, 4.1),  # He et al. 2016; timm counts 4.11
    "vit_tiny_patch16_224": (5.7, 1.26),  # attention's products count: 1.08 without
    "tf_efficientnet_lite0": (4.65, 0.385),  # without the zeros that are folded into kernels
}


@pytest.mark.parametrize("name", PAPER)
def test_it_counts_as_papers_do(name):
    classes = tuple(CarClass(str(k), str(k)) for k in range(1000))
    model = models.build(config.Model(name=name, pretrained=False), View(224), classes)
    card = models.card(model, 224)
    num_millions, gmacs = PAPER[name]
    assert card["num_parameters"] / 1e6 == pytest.approx(num_millions, rel=0.02)
    assert card["gmacs"] == pytest.approx(gmacs, rel=0.02)
    assert card["image_px"] == 224


def test_folded_convolutions_stay_folded():
    cfg = config.Model(name="tf_efficientnet_lite0", pretrained=False)
    model = models.build(cfg, View(32), (CarClass("a", "a"),))
    kinds = [type(module) for module in model.modules()]
    models.card(model, 32)
    assert [type(module) for module in model.modules()] == kinds


def test_nothing_of_the_model_changes_and_attention_counts():
    classes = tuple(CarClass(str(k), str(k)) for k in range(4))
    cards = []
    for attention in ("none", "se"):
        cfg = config.Model(name="test_efficientnet", pretrained=False, attention=attention)
        model = models.build(cfg, View(32), classes).train()
        before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
        draws = torch.get_rng_state()
        cards.append(models.card(model, 32))
        assert torch.equal(torch.get_rng_state(), draws)
        assert model.net.training
        assert all(torch.equal(before[name], t) for name, t in model.state_dict().items())
    assert cards[1]["num_parameters"] > cards[0]["num_parameters"]
    assert cards[1]["gmacs"] > cards[0]["gmacs"]
