"""The copy that scores: the same logits, whatever the network."""

import copy

import pytest
import timm
import torch
from timm.layers import BatchNormAct2d
from torch import nn

from carscale import config, models
from carscale.models.cpu_speed import speed_up_cpu
from carscale.models.factory import Classifier
from carscale.types import CarClass, View

VIEW = View(image_px=64, fit="pad", interpolation="bicubic", mean=(0.5, 0.4, 0.5), std=(0.2,) * 3)


def classifier(net, side=64):
    """Put a network with batch-norm statistics of its own in a classifier; return photos too."""
    torch.manual_seed(0)
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.normal_(0, 0.1)
            module.running_var.uniform_(0.5, 1.5)
            module.weight.data.uniform_(0.7, 1.3)
            module.bias.data.normal_(0, 0.1)
    speed_up_cpu(net)
    images = torch.randint(0, 256, (3, 3, side, side), dtype=torch.uint8)
    return Classifier(net, VIEW).to(memory_format=torch.channels_last).eval(), images


def logits(model, images):
    with torch.inference_mode():
        return model(images)


def num_norms(model):
    return sum(isinstance(module, nn.BatchNorm2d) for module in model.modules())


NETWORKS = {  # batch norms that stay
    "tf_efficientnet_lite0": 0,
    "test_efficientnet": 0,
    "test_efficientnet_gn": 0,
    "test_resnet": 0,
    "test_byobnet": 0,
    "test_convnext": 0,
    "test_vit": 0,
    "test_nfnet": 0,
    "resnetv2_18": 9,  # norms before convolutions: of sums, and of maps that go elsewhere too
    "repvgg_a0": 17,  # identity branches
}


@pytest.mark.parametrize(("name", "left"), NETWORKS.items())
def test_logits_stay_and_so_does_the_model(name, left):
    model, images = classifier(timm.create_model(name, num_classes=7))
    wanted, state = logits(model, images), copy.deepcopy(model.net.state_dict())
    quick = models.for_scoring(model, 64)
    assert num_norms(quick) == left <= num_norms(model)
    # worst measured 4e-6 of the largest logit (lite0)
    atol = 1e-5 * max(1.0, float(wanted.abs().max()))
    torch.testing.assert_close(logits(quick, images), wanted, atol=atol, rtol=0)
    assert torch.equal(logits(models.for_scoring(model, 64), images), logits(quick, images))
    assert torch.equal(logits(model, images), wanted)
    assert all(torch.equal(model.net.state_dict()[key], value) for key, value in state.items())
    assert list(model.net.state_dict()) == list(state)


@pytest.mark.parametrize("attention", ["se", "cbam"])
def test_added_attention_stays(attention):
    cfg = config.Model(name="test_resnet", pretrained=False, attention=attention)
    classes = tuple(CarClass(f"car {k}", f"car_{k}") for k in range(3))
    model, images = classifier(models.build(cfg, VIEW, classes).net)
    for name, parameter in model.net.named_parameters():
        if name.endswith(".alpha"):
            parameter.data.fill_(0.7)
    quick = models.for_scoring(model, 64)
    torch.testing.assert_close(logits(quick, images), logits(model, images), atol=1e-5, rtol=0)


class Odd(nn.Module):
    """Norms that must stay: each of their convolutions' maps is used twice, or made twice."""

    def __init__(self):
        super().__init__()
        self.twice_used, self.twice_called, self.looked_at, self.fine = (
            nn.Conv2d(3, 3, 1) for _ in range(4)
        )
        self.norms = nn.ModuleList(nn.BatchNorm2d(3) for _ in range(3))
        self.bare = nn.BatchNorm2d(3, affine=False)
        self.last = BatchNormAct2d(3, act_layer=nn.SiLU)
        self.head = nn.Linear(3, 2)

    def forward(self, maps):
        branch = self.twice_used(maps)
        maps = self.norms[0](branch) + branch
        maps = self.norms[1](self.twice_called(self.twice_called(maps)))
        maps = self.bare(self.norms[2](self.looked_at(maps)))
        return self.head(self.last(self.fine(maps)).mean((2, 3)))


def test_a_norm_stays_where_anything_else_sees_what_it_is_fed():
    net = Odd()
    net.bare.weight = None
    for module in (*net.norms, net.last):
        module.weight.data.fill_(1.5)
    net.looked_at.register_forward_hook(lambda module, given, maps: maps * 2)
    seen = logits(net.eval(), images := torch.rand(2, 3, 8, 8))
    model = Classifier(net, VIEW)
    quick = models.for_scoring(model, 8)
    kept = [name for name, module in quick.net.named_modules() if "Norm" in type(module).__name__]
    assert kept == ["norms.0", "norms.1", "norms.2", "bare"]
    torch.testing.assert_close(logits(quick.net, images), seen)


def test_weights_are_shared_and_activations_write_in_place_in_the_copy_alone():
    model, _ = classifier(timm.create_model("tf_efficientnet_lite0", num_classes=7))
    quick = models.for_scoring(model, 64)
    assert quick.net.get_classifier().weight is model.net.get_classifier().weight
    assert not any(parameter.requires_grad is False for parameter in model.parameters())
    acts = [[m.inplace for m in one.modules() if isinstance(m, nn.ReLU6)] for one in (model, quick)]
    assert len(acts[0]) == len(acts[1]) > 30
    assert not any(acts[0])
    assert all(acts[1])
    assert next(iter(quick.net.modules())).training is False
    assert quick.net.conv_stem.weight.is_contiguous(memory_format=torch.channels_last)


def test_what_accelerate_wraps_around_the_model_does_not_call_it():
    model, images = classifier(timm.create_model("test_resnet", num_classes=7))
    wanted = logits(model, images)
    model.forward = lambda images_BCHW: pytest.fail("the model was called, not its copy")
    quick = models.for_scoring(model, 64)
    torch.testing.assert_close(logits(quick, images), wanted, atol=1e-5, rtol=0)


def test_half_precision_scores_as_before():
    model, images = classifier(timm.create_model("test_efficientnet", num_classes=7))
    with torch.autocast("cpu", torch.bfloat16):
        halved, quick = logits(model, images), logits(models.for_scoring(model, 64), images)
    torch.testing.assert_close(quick.float(), halved.float(), atol=0.03, rtol=0)
