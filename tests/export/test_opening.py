"""Opening what a stranger sent, graphs of a fixed number of pictures, disks, folders."""

import contextlib
import io
import json
import os
import pickle
import resource
import zipfile

import numpy as np
import pytest
import torch
from ranks import run_process
from test_graphs import CLASSES, built

from carscale import export, files, models
from carscale.errors import DiskError, ModelError, UnsafePathError, VerificationError
from carscale.export.facts import Facts
from carscale.export.graphs import Served
from carscale.workflows.exporting.export import _placeless, _placeless_tree
from carscale.workflows.exporting.verify import Verified

NAMES = tuple(car.name for car in CLASSES)


def saved(kind, folder, *, num_images=None):
    """Export a small network; return it and what its pictures are."""
    model, view = built("test_resnet", 32)
    folder.mkdir()
    if kind == "pt2":
        export.save_pt2(Served(model), folder / "model.pt2", 32, num_images=num_images)
    else:
        export.save_onnx(Served(model), folder / "model.onnx", 32, num_images=num_images)
    if kind == "openvino":
        export.save_openvino(folder / "model.onnx", folder)
    Facts(kind, NAMES, view).write(folder)
    return model


@pytest.mark.parametrize("kind", ["onnx", "openvino", "pt2"])
@pytest.mark.parametrize("num_images", [None, 4])
def test_any_number_of_pictures_is_answered(tmp_path, kind, num_images):
    model = saved(kind, tmp_path / "out", num_images=num_images)
    opened = export.open_exported(tmp_path / "out")
    images_BHWC = np.random.default_rng(0).integers(0, 256, (9, 32, 32, 3), dtype=np.uint8)
    with torch.inference_mode():
        wanted_BK, _ = Served(model)(torch.from_numpy(images_BHWC))
    for num in (1, 4, 9):
        probs_BK, logits_BK = opened.answer(images_BHWC[:num])
        assert probs_BK == pytest.approx(wanted_BK[:num].numpy(), abs=1e-5)
        assert logits_BK.shape == (num, 7)


class Trap:
    """Makes a folder when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (self.path,)


def test_no_pickle_of_a_stranger_is_run(tmp_path, monkeypatch):
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)
    saved("pt2", tmp_path / "out")
    file = tmp_path / "out" / "model.pt2"
    with zipfile.ZipFile(file) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    trap = io.BytesIO()
    torch.save(Trap(str(tmp_path / "run")), trap, pickle_module=pickle)
    spoilt = [name for name in members if name.endswith(".pt")]
    assert spoilt
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, trap.getvalue() if name in spoilt else content)
    with pytest.raises(ModelError, match="can't be read"):
        export.open_exported(tmp_path / "out")
    assert not (tmp_path / "run").exists()
    assert "TORCH_FORCE_WEIGHTS_ONLY_LOAD" not in os.environ
    with contextlib.suppress(Exception):
        torch.export.load(file)  # so would it have been
    assert (tmp_path / "run").is_dir()


@pytest.mark.parametrize(
    "change",
    [
        {"kind": "tflite"},
        {"classes": "abcdefg"},
        {"classes": [1, 2]},
        {"min_energy": "high"},
        {"temperature": None},
        {"view": {"image_px": "32"}},
        {"view": {"image_px": 10**9}},
        {"view": {"fit": "x"}},
        {"view": {"mean": [0.5]}},
        {"view": {"std": ["a", "b", "c"]}},
        {"view": {"interpolation": "x"}},
    ],
)
def test_facts_of_another_kind_are_refused(tmp_path, change):
    saved("onnx", tmp_path / "out")
    file = tmp_path / "out" / "carscale.json"
    tree = json.loads(file.read_text())
    view = tree["view"] | change.get("view", {})
    file.write_text(json.dumps(tree | change | {"view": view}))
    with pytest.raises(ModelError, match="says nothing that carscale reads"):
        export.open_exported(tmp_path / "out")


def test_a_graph_of_other_classes_than_its_facts_is_refused(tmp_path):
    saved("onnx", tmp_path / "out")
    file = tmp_path / "out" / "carscale.json"
    tree = json.loads(file.read_text())
    file.write_text(json.dumps(tree | {"classes": ["a"]}))
    with pytest.raises(ModelError, match="gives 7 probabilities for 1 classes"):
        export.open_exported(tmp_path / "out")


def test_a_graph_of_other_pictures_than_its_facts_is_refused(tmp_path):
    saved("onnx", tmp_path / "out")
    file = tmp_path / "out" / "carscale.json"
    tree = json.loads(file.read_text())
    tree["view"]["image_px"] = 48
    file.write_text(json.dumps(tree))
    with pytest.raises(ModelError, match="can't be read"):
        export.open_exported(tmp_path / "out")


def test_a_link_in_an_export_is_refused(tmp_path):
    saved("onnx", tmp_path / "out")
    (tmp_path / "out" / "model.onnx").rename(tmp_path / "elsewhere.onnx")
    (tmp_path / "out" / "model.onnx").symlink_to(tmp_path / "elsewhere.onnx")
    with pytest.raises(UnsafePathError, match="link"):
        export.open_exported(tmp_path / "out")


def convert_on_a_full_disk(kind, folder):
    """Convert a graph where no file may be larger than 10 kB."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
    made = folder / "made"
    try:
        with files.staged_folder(made, "export") as staging:
            os.link(folder / "out" / "model.onnx", staging / "model.onnx")
            if kind == "openvino":
                export.save_openvino(staging / "model.onnx", staging)
            else:
                pictures = [np.zeros((16, 32, 32, 3), np.uint8)]
                export.quantise(staging / "model.onnx", staging / "int8.onnx", pictures)
    except (DiskError, OSError):
        raise SystemExit(0 if not made.exists() else 4) from None


@pytest.mark.parametrize("kind", ["openvino", "int8"])
def test_a_full_disk_is_no_fault_of_the_graph(tmp_path, kind):
    saved("onnx", tmp_path / "out")
    assert run_process(convert_on_a_full_disk, kind, tmp_path) == 0


def test_folders_of_a_machine_stay_there(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    tree = {"data": {"root": "/nosuchroot/jane doe/cars"}, "run": {"dir": str(tmp_path / "runs")}}
    assert _placeless_tree(tree) == {"data": {"root": ".../cars"}, "run": {"dir": "runs"}}
    assert _placeless_tree({"list": ["../secret/a.csv", 3, None]}) == {
        "list": [".../a.csv", 3, None]
    }
    assert _placeless("model.weights=~/jane/run") == "model.weights=.../run"
    assert _placeless("train.num_epochs=3") == "train.num_epochs=3"


def test_what_temperature_can_not_divide_says_what_can(tmp_path):
    model, view = built("test_resnet", 32)
    model.net.fc = torch.nn.Sequential(torch.nn.Linear(model.net.num_features, 7))
    with pytest.raises(ModelError, match=r"--temperature divide it\n.*--format onnx"):
        models.save_hub_folder(model, tmp_path, view, NAMES, temperature=2.0)


@pytest.mark.parametrize(
    ("equal", "from_files", "said"),
    [
        (999, 995, None),
        (998, 1000, "take another --format"),
        (998, 900, "take another --format"),
        (1000, 994, r"\+0.0 and \+0.0 points(.|\n)*unsure(.|\n)*--verify none"),
    ],
)
def test_agreement_is_wanted_of_so_many_and_what_helps_is_said(equal, from_files, said):
    both = [export.Agreement(1000, num, 500, 500, 0.1, 0.01) for num in (equal, from_files)]
    proof = Verified("val", *both, 1.0, 1.0, 0.0, "", "cpu")
    if said is None:
        proof.check(int8=False)
        return
    with pytest.raises(VerificationError, match=said):
        proof.check(int8=False)
