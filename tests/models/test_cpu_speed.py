"""Quickened networks: the same numbers as timm's own."""

import copy

import pytest
import timm
import torch

from carscale.models.cpu_speed import speed_up_cpu


@pytest.mark.parametrize("side", [32, 33, 64, 70])
@pytest.mark.parametrize("name", ["tf_efficientnet_lite0", "tf_mobilenetv3_small_075"])
def test_outputs_and_gradients_are_timms(name, side):
    torch.manual_seed(0)
    plain = timm.create_model(name, num_classes=5).double().train()
    quick = copy.deepcopy(plain)
    speed_up_cpu(quick)
    assert list(quick.state_dict()) == list(plain.state_dict())
    images = torch.randn(4, 3, side, side, dtype=torch.float64)
    for net in (plain, quick):
        torch.manual_seed(1)  # dropout
        net(images).square().sum().backward()
    # worst measured 1.2e-8: batch norm over four single pixels (side 32) magnifies rounding
    for one, two in zip(plain.parameters(), quick.parameters(), strict=True):
        torch.testing.assert_close(one.grad, two.grad, rtol=1e-7, atol=1e-7)
    again = copy.deepcopy(quick)
    with torch.inference_mode():
        assert torch.equal(again.eval()(images), quick.eval()(images))


def test_it_does_fold_and_does_keep_inputs():
    net = timm.create_model("tf_efficientnet_lite0", num_classes=5)
    speed_up_cpu(net)
    kinds = [type(module).__name__ for module in net.modules()]
    assert kinds.count("_FoldedSame") == 5
    assert "Conv2dSame" not in kinds
    activations = [m for m in net.modules() if isinstance(m, torch.nn.ReLU6)]
    assert activations
    assert not any(module.inplace for module in activations)
    seen = []
    conv = next(m for m in net.modules() if type(m).__name__ == "_FoldedSame")
    original = torch.nn.functional.conv2d

    def watch(images, weight, *rest, **named):
        seen.append((images.shape[-1], weight.shape[-1]))
        return original(images, weight, *rest, **named)

    torch.nn.functional.conv2d = watch
    try:
        conv(torch.zeros(1, 3, 64, 64))
    finally:
        torch.nn.functional.conv2d = original
    assert seen == [(64, 4)]  # the picture as it was, the kernel one larger
