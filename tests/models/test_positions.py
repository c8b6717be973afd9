"""Position embeddings at another input size: timm's resampling, and nothing else is let through."""

import pytest
import timm
import torch
from timm.layers import resample_abs_pos_embed

from carscale import config, models
from carscale.errors import ModelError
from carscale.types import CarClass, View

CLASSES = tuple(CarClass(str(k), str(k)) for k in range(7))


def built(image_px, name="test_vit", num_classes=7, **settings):
    torch.manual_seed(0)
    cfg = config.Model(name=name, **{"pretrained": False} | settings)
    return models.build(cfg, View(image_px=image_px), CLASSES[:num_classes])


@pytest.fixture
def stored(tmp_path):
    """Weights of a model for 64 px, in a file and in a run folder."""
    model = built(64)
    best = tmp_path / "run" / "checkpoints" / "best_00000001"
    best.mkdir(parents=True)
    models.save_state(best, "model", model.net.state_dict())
    return model, best / "model.safetensors", tmp_path / "run"


def assert_resampled(model, first, grid):
    wanted = resample_abs_pos_embed(first.net.pos_embed, [grid, grid], num_prefix_tokens=1)
    assert torch.equal(model.net.pos_embed, wanted)
    for name, tensor in first.net.state_dict().items():
        if name != "pos_embed" and not name.startswith("head."):
            assert torch.equal(model.net.state_dict()[name], tensor)


@pytest.mark.parametrize(("image_px", "grid"), [(96, 6), (32, 2)])
def test_weights_of_a_file_or_run_are_resampled_and_say_so(stored, image_px, grid):
    first, path, run = stored
    for place in (path, run):
        model = built(image_px, weights=str(place))
        assert_resampled(model, first, grid)
        text = f"position embedding resampled from 4x4 to {grid}x{grid}"
        assert model.weights_from == f"{path}; {text}"
        assert torch.equal(model.net.head.weight, first.net.head.weight)
    fewer = built(image_px, num_classes=3, weights=str(path))
    assert fewer.weights_from == f"{path}; {text}; new: classifier"
    assert_resampled(fewer, first, grid)


def test_weights_of_the_same_size_are_left_as_they_are(stored):
    first, path, _ = stored
    model = built(64, weights=str(path))
    assert model.weights_from == str(path)
    assert torch.equal(model.net.pos_embed, first.net.pos_embed)


def test_pretrained_weights_are_resampled(monkeypatch):
    create = timm.create_model

    def create_offline(name, pretrained=False, **settings):
        torch.manual_seed(5)
        return create(name, **settings)

    monkeypatch.setattr(timm, "create_model", create_offline)
    side = timm.get_pretrained_cfg("test_vit").input_size[1]
    model = built(64, pretrained=True)
    first = models.Classifier(create_offline("test_vit"), View(image_px=side))
    text = f"position embedding resampled from {side // 16}x{side // 16} to 4x4"
    assert model.weights_from == f"Hugging Face hub, through timm; {text}; new: classifier"
    assert_resampled(model, first, 4)


def test_relative_tables_are_resampled(tmp_path):
    first = built(64, name="coatnet_nano_rw_224")
    models.save_state(tmp_path, "model", first.net.state_dict())
    model = built(96, name="coatnet_nano_rw_224", weights=str(tmp_path / "model.safetensors"))
    assert model.weights_from.endswith("position embedding resampled from 7x7 to 11x11")
    name = "stages.2.blocks.0.attn.rel_pos.relative_position_bias_table"
    old, new = (m.net.state_dict()[name] for m in (first, model))
    old, new = old.reshape(7, 7, -1), new.reshape(11, 11, -1)
    for place in (0, 3), (3, 3), (6, 0), (6, 6):  # ends and middles of both grids meet
        there = tuple(5 * p // 3 for p in place)
        torch.testing.assert_close(new[there], old[place], atol=1e-5, rtol=0)


@pytest.mark.parametrize("broken", ["body too", "patch", "extra", "missing", "no square"])
def test_any_other_difference_is_an_error(stored, tmp_path, broken):
    first, _, _ = stored
    state = dict(first.net.state_dict())
    if broken == "body too":
        state["norm.weight"] = torch.ones(3)
    if broken == "patch":  # timm would resample that too
        state["patch_embed.proj.weight"] = state["patch_embed.proj.weight"][..., :8, :8]
    if broken == "extra":
        state["more"] = torch.ones(3)
    if broken == "missing":
        del state["norm.weight"]
    if broken == "no square":
        state["pos_embed"] = state["pos_embed"][:, :13]
    models.save_state(tmp_path, "other", state)
    with pytest.raises(ModelError, match=r"another model or class list; \d tensors differ"):
        built(96, weights=str(tmp_path / "other.safetensors"))


def test_a_checkpoint_is_never_resampled(stored):
    _, path, _ = stored
    net = built(96).net
    with pytest.raises(ModelError, match=r"pos_embed: .* stored, .* wanted"):
        models.load_state(net, models.read_weights(path), "checkpoint")
