"""Graphs of networks of several families, and networks that can't be exported."""

import numpy as np
import pytest
import timm
import torch
from PIL import Image
from torch import nn

from carscale import config, export, models
from carscale.errors import ModelError
from carscale.export.exported import shipped_script
from carscale.export.facts import Facts
from carscale.export.graphs import Served
from carscale.types import CarClass, View
from carscale.workflows.photo_predictions import view_of

CLASSES = tuple(CarClass(str(k), str(k)) for k in range(7))


def built(name, px, **more):
    cfg = config.Model.model_validate({"name": name, "pretrained": False, **more})
    view = models.preprocessing(cfg, config.Data(image_px=px))
    torch.manual_seed(0)
    return models.build(cfg, view, CLASSES).eval(), view


@pytest.mark.parametrize(
    ("name", "px"), [("test_resnet", 64), ("test_convnext", 64), ("test_vit", 160)]
)
def test_families_answer_alike_as_onnx(tmp_path, name, px):
    model, view = built(name, px)
    path = tmp_path / "model.onnx"
    export.save_onnx(Served(model), path, px)
    export.tag_onnx(path, Facts("onnx", tuple(car.name for car in CLASSES), view))
    opened = export.open_exported(path)
    images_BHWC = np.random.default_rng(0).integers(0, 256, (5, px, px, 3), dtype=np.uint8)
    with torch.inference_mode():
        ours_BK = model(torch.from_numpy(images_BHWC).permute(0, 3, 1, 2)).numpy()
    _, theirs_BK = opened.answer(images_BHWC)
    assert np.abs(theirs_BK - ours_BK).max() < 1e-3 * ours_BK.std()
    assert opened.facts.view == view
    assert opened.facts.classes == tuple("0123456")


@pytest.mark.parametrize("fit", ["squash", "pad", "crop"])
@pytest.mark.parametrize("px", [32, 90])
def test_the_shipped_view_of_a_photo_is_carscales(tmp_path, fit, px):
    rng = np.random.default_rng(0)
    view = View(image_px=px, fit=fit, interpolation="bicubic")
    about = Facts("onnx", (), view).to_dict()
    for n, size in enumerate([(300, 191), (97, 64), (31, 200), (64, 64), (1, 90), (641, 480)]):
        small = Image.fromarray(rng.integers(0, 256, (7, 9, 3), dtype=np.uint8))
        photo = small.resize(size, Image.Resampling.BICUBIC)
        for name in (f"{n}.jpg", f"{n}.png"):
            photo.save(tmp_path / name, quality=95)
            ours = view_of((tmp_path / name).read_bytes, view).astype(int)
            theirs = shipped_script()["view"](tmp_path / name, about).astype(int)
            far = (
                1.2 if min(size) < px else 0.15
            )  # of 1 and 31 px: decoders upsample colour otherwise
            assert np.abs(ours - theirs).mean() < far, (name, size)
            assert np.abs(ours - theirs).max() <= 3, (name, size)


def test_the_shipped_view_knows_transparency_and_16_bits(tmp_path):
    view = View(image_px=20, fit="squash")
    about = Facts("onnx", (), view).to_dict()
    rng = np.random.default_rng(0)
    clear = Image.fromarray(rng.integers(0, 256, (20, 20, 4), dtype=np.uint8))
    deep = Image.fromarray(np.full((20, 20), 20_000, np.uint16))
    for name, photo in {"a.png": clear, "b.png": deep}.items():
        photo.save(tmp_path / name)
        ours = view_of((tmp_path / name).read_bytes, view).astype(int)
        theirs = shipped_script()["view"](tmp_path / name, about).astype(int)
        assert np.abs(ours - theirs).max() <= 2, name


def test_the_shipped_view_turns_photos_upright(tmp_path):
    view = View(image_px=40, fit="pad")
    about = Facts("onnx", (), view).to_dict()
    photo = Image.fromarray(
        np.arange(200 * 90 * 3, dtype=np.uint32).reshape(90, 200, 3).astype("u1")
    )
    photo = photo.resize((300, 140))
    for orientation in range(1, 9):
        exif = Image.Exif()
        exif[274] = orientation
        photo.save(tmp_path / "a.jpg", exif=exif, quality=95)
        ours = view_of((tmp_path / "a.jpg").read_bytes, view).astype(int)
        theirs = shipped_script()["view"](tmp_path / "a.jpg", about).astype(int)
        assert np.abs(ours - theirs).mean() < 3, orientation


class Stubborn(nn.Module):
    """A network whose way depends on what it sees."""

    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, images_BCHW):
        """Look before it computes."""
        seen_B3 = images_BCHW.mean(dim=(2, 3))
        return self.layer(seen_B3 if bool(seen_B3.sum() > 0) else -seen_B3)


@pytest.mark.parametrize("save", [export.save_onnx, export.save_pt2])
def test_a_network_that_the_exporter_refuses_is_named_and_why(tmp_path, save):
    model = models.Classifier(Stubborn(), View(image_px=8))
    with pytest.raises(ModelError, match=r"Stubborn: the exporter refuses the network: .+"):
        save(Served(model), tmp_path / "model", 8)
    assert list(tmp_path.iterdir()) == []


def test_added_attention_has_no_name_that_timm_could_build(tmp_path):
    model, view = built("test_resnet", 64, attention="eca")
    with pytest.raises(ModelError, match=r"attention layers .*\n.*--format onnx"):
        models.save_hub_folder(model, tmp_path, view, ["a", "b"])


def test_a_vit_of_another_size_opens_from_its_folder(tmp_path):
    model, view = built("test_vit", 64)  # made for 160 px
    models.save_hub_folder(model, tmp_path, view, [car.name for car in CLASSES])
    net = timm.create_model(f"local-dir:{tmp_path}", pretrained=True).eval()
    assert tuple(net.pretrained_cfg["input_size"]) == (3, 64, 64)
    images_BCHW = torch.randint(0, 256, (3, 3, 64, 64), dtype=torch.uint8)
    mean, std = (torch.tensor(one).view(3, 1, 1) for one in (view.mean, view.std))
    with torch.no_grad():
        found_BK = net((images_BCHW / 255 - mean) / std)
        assert torch.allclose(found_BK, model(images_BCHW), atol=1e-5)


def test_agreement_is_what_counting_gives():
    rng = np.random.default_rng(0)
    ours_NK, theirs_NK = rng.dirichlet(np.ones(4), (2, 300)).astype(np.float32)
    labels_N = rng.integers(0, 4, 300)
    found = export.agreement(labels_N, ours_NK, theirs_NK)
    firsts = [(max(range(4), key=a.__getitem__), max(range(4), key=b.__getitem__))
              for a, b in zip(ours_NK.tolist(), theirs_NK.tolist(), strict=True)]  # fmt: skip
    assert found.num_same == sum(one == other for one, other in firsts)
    right = [sum(pair[n] == k for pair, k in zip(firsts, labels_N, strict=True)) for n in (0, 1)]
    stored = found.to_dict()
    assert stored["accuracy"] == right[1] / 300
    assert found.drop == pytest.approx((right[0] - right[1]) / 300)
    assert stored["low"] < stored["accuracy"] < stored["high"]
    assert found.max_difference == pytest.approx(np.abs(ours_NK - theirs_NK).max())


def test_agreement_of_parts_is_that_of_all():
    rng = np.random.default_rng(1)
    ours_NK, theirs_NK = rng.dirichlet(np.ones(4), (2, 100)).astype(np.float32)
    labels_N = rng.integers(0, 4, 100)
    parts = [slice(0, 1), slice(1, 64), slice(64, 100)]
    found = [export.agreement(labels_N[at], ours_NK[at], theirs_NK[at]) for at in parts]
    whole = export.agreement(labels_N, ours_NK, theirs_NK)
    assert vars(export.pooled(found)) == pytest.approx(vars(whole))
