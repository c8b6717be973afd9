"""Exported runs: opened by others in fresh processes, held against the run, refused when wrong."""

import io
import json
import os
import shutil
import subprocess
import sys

import jobs
import numpy as np
import pytest
import torch
from PIL import Image
from ranks import run_process, run_ranks
from scipy.special import logsumexp

from carscale import data, evaluation, export, models, workflows
from carscale.errors import (
    ConfigError,
    DataError,
    LaunchError,
    MissingExtraError,
    ModelError,
    RunError,
    VerificationError,
)
from carscale.loaders import eval_view
from carscale.runs import RunFolder
from carscale.workflows.evaluation_run import load_result

WORDS = ("train.num_epochs=8", "train.select=last", "train.eval_every_epochs=0")
FITS = ("squash", "pad", "crop")


@pytest.fixture(scope="module")
def runs(made_once, tiny):
    """A run of each ``data.fit``, of a network with depthwise convolutions and batch norms."""

    def make(place):
        for fit in FITS:
            words = (*WORDS, "model.name=test_efficientnet", f"data.fit={fit}")
            assert run_process(jobs.train, tiny, place / fit, words) == 0
        workflows.evaluate(place / "squash", temperature=True, embeddings=True)

    return made_once("exported-runs", make)


@pytest.fixture(scope="module")
def folders(made_once, runs):
    """An export of each kind, of the squashed run; ONNX of the others too."""

    def make(place):
        for kind in ("hub", "onnx", "openvino", "pt2"):
            rule = workflows.ExportRule(kind, temperature=True)
            workflows.export_run(runs / "squash", place / kind, rule)
        for fit in FITS[1:]:
            for kind in ("hub", "onnx"):
                rule = workflows.ExportRule(kind, fixed_batch=4 if kind == "onnx" else None)
                workflows.export_run(runs / fit, place / f"{fit}-{kind}", rule)

    return made_once("exports", make)


def asked(run, split):
    """Return the run's logits of a split's photos, and the pixels it saw."""
    folder = RunFolder(run)
    model, view, _, _ = load_result(folder, folder.settings().model)
    pictures_NHWC = np.stack([eval_view(split, row, view) for row in range(len(split))])
    with torch.inference_mode():
        logits_NK = model.eval()(torch.from_numpy(pictures_NHWC).permute(0, 3, 1, 2))
    return logits_NK.numpy(), pictures_NHWC


@pytest.mark.parametrize("kind", ["hub", "onnx", "openvino", "pt2"])
def test_what_was_exported_answers_as_the_run_does(runs, folders, tiny, kind):
    val = data.read_splits(tiny).val
    ours_NK, pictures_NHWC = asked(runs / "squash", val)
    opened = export.open_exported(folders / kind)
    ours_NK = ours_NK / RunFolder(runs / "squash").calibration()["temperature"]
    for num in (1, len(val)):
        probs_NK, logits_NK = opened.answer(pictures_NHWC[:num])
        assert np.abs(logits_NK - ours_NK[:num]).max() < 1e-4 * ours_NK.std()
        assert probs_NK == pytest.approx(torch.from_numpy(logits_NK).softmax(1).numpy(), abs=1e-6)
    told = json.loads((folders / kind / "verify.json").read_text())
    assert told["equal_input"]["same"] == 1
    assert told["equal_input"]["num_photos"] == len(val)
    energies_N = logsumexp(ours_NK, axis=1)
    assert told["min_energy"] == pytest.approx(np.quantile(energies_N, 0.05), abs=1e-4)


HUB_USER = """
import json, sys
import timm, torch
from PIL import Image
from transformers import AutoImageProcessor, AutoModelForImageClassification, pipeline
photo, *folders = sys.argv[1:]
image = Image.open(photo).convert("RGB")
for folder in folders:
    net = timm.create_model(f"local-dir:{folder}", pretrained=True).eval()
    config = timm.data.resolve_model_data_config(net)
    with torch.inference_mode():
        ours = net(timm.data.create_transform(**config, is_training=False)(image)[None])
        inputs = AutoImageProcessor.from_pretrained(folder)(image, return_tensors="pt")
        theirs = AutoModelForImageClassification.from_pretrained(folder)(**inputs).logits
    found = pipeline("image-classification", folder)(image, top_k=1)[0]
    print(json.dumps([ours[0].tolist(), theirs[0].tolist(), found["label"]]))
assert not any(name.startswith("carscale") for name in sys.modules)
"""


def in_fresh_process(*words, cwd=None):
    """Run Python without carscale's folder, offline; return what it printed."""
    told = subprocess.run(
        [sys.executable, "-P", *map(str, words)],
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": "", "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert told.returncode == 0, told.stderr[-2000:]
    return told.stdout


@pytest.mark.launch
def test_timm_and_transformers_open_the_folder_without_carscale(runs, folders, tiny, tmp_path):
    val = data.read_splits(tiny).val
    (tmp_path / "user.py").write_text(HUB_USER)
    names = {"squash": "hub", "pad": "pad-hub", "crop": "crop-hub"}
    photo, places = tiny / val.paths_N[0], [folders / name for name in names.values()]
    told = in_fresh_process(tmp_path / "user.py", photo, *places).splitlines()[-3:]
    for fit, line in zip(names, told, strict=True):
        ours_NK, _ = asked(runs / fit, val)
        heat = export.open_exported(folders / names[fit]).facts.temperature
        by_timm, by_transformers, label = json.loads(line)
        assert by_timm == pytest.approx(by_transformers, abs=0.02)
        assert by_timm == pytest.approx((ours_NK[0] / heat).tolist(), abs=0.02)
        assert label == val.classes[int(np.argmax(by_timm))].name


def test_the_script_beside_the_graph_needs_neither_torch_nor_carscale(folders, runs, tiny):
    val = data.read_splits(tiny).val
    for fit, name in (("squash", "onnx"), ("pad", "pad-onnx"), ("crop", "crop-onnx")):
        ours_NK, _ = asked(runs / fit, val)
        told = in_fresh_process(
            "-c",
            "import sys, runpy; sys.argv[0] = 'predict_onnx.py'; runpy.run_path('predict_onnx.py', "
            "run_name='__main__'); assert not {'torch', 'carscale', 'timm'} & set(sys.modules)",
            *(tiny / path for path in val.paths_N),
            cwd=folders / name,
        )
        blocks = told.strip().split("\n" + str(tiny))
        firsts = [block.splitlines()[1].strip().rsplit(" ", 1) for block in blocks]
        assert len(firsts) == len(val)
        heat = export.open_exported(folders / name).facts.temperature
        probs_NK = torch.from_numpy(ours_NK / heat).softmax(1).numpy()
        for (label, prob), probs_K in zip(firsts, probs_NK, strict=True):
            assert label == val.classes[int(probs_K.argmax())].name
            assert float(prob) == pytest.approx(probs_K.max(), abs=0.02)


def test_the_script_says_what_it_can_not_read_and_goes_on(folders, tiny, tmp_path):
    (tmp_path / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n no more")
    photo = tiny / data.read_splits(tiny).val.paths_N[0]
    words = [sys.executable, "predict_onnx.py", tmp_path / "broken.png", tmp_path, photo]
    told = subprocess.run(words, cwd=folders / "onnx", capture_output=True, text=True, check=False)
    assert told.returncode == 1
    assert told.stderr.count("can't be read") == 2
    assert told.stdout.startswith(str(photo))
    told = subprocess.run(
        [*words[:2], "--help"], cwd=folders / "onnx", capture_output=True, text=True, check=False
    )
    assert "python predict_onnx.py photo.jpg" in told.stderr


def test_the_weights_may_be_read_by_whom_the_rest_may_be(folders):
    modes = {path.name: path.stat().st_mode for path in (folders / "hub").iterdir()}
    assert modes["model.safetensors"] == modes["config.json"] == modes["README.md"]


def test_predict_takes_a_folder_and_an_onnx_file(runs, folders, tiny, carscale):
    photos = tiny / "val"
    ours = workflows.predict(runs / "squash", [photos]).rows
    for place in (folders / "hub", folders / "openvino", folders / "onnx" / "model.onnx"):
        theirs = workflows.predict(place, [photos]).rows
        for one, other in zip(ours, theirs, strict=True):
            assert one["path"] == other["path"]
            assert one["top5"][0]["class"] == other["top5"][0]["class"]
            assert one["top5"][0]["prob"] == pytest.approx(other["top5"][0]["prob"], abs=1e-4)
    code, stdout, _ = carscale("predict", folders / "onnx", photos, "--above", "1", "--csv")
    assert code == 0
    assert "below 1" in stdout


def test_what_is_below_a_probability_or_resembles_nothing_is_left_without_a_class(
    runs, folders, tiny
):
    rows = workflows.predict(runs / "squash", [tiny / "val"], above=0.6).rows
    for row in rows:
        assert (row["abstains"] == "below 0.6") == (row["top5"][0]["prob"] < 0.6)
    val = data.read_splits(tiny).val
    ours_NK, _ = asked(runs / "squash", val)
    energies_N = logsumexp(ours_NK.astype(float), axis=1)
    limit = np.quantile(energies_N, 0.05)
    is_clear_N = np.abs(energies_N - limit) > 0.01  # embeddings are kept in half precision
    for place in (runs / "squash", folders / "onnx"):
        rows = workflows.predict(place, [tiny / "val"], unknown=True).rows
        found_N = np.array([row["abstains"] == "unknown" for row in rows])
        by_path = {str(tiny / path): n for n, path in enumerate(val.paths_N)}
        order_N = [by_path[row["path"]] for row in rows]
        if place == runs / "squash":
            assert (found_N == (energies_N < limit)[order_N])[is_clear_N[order_N]].all()
        assert 0 < found_N.sum() <= np.ceil(0.05 * len(val))


def test_a_threshold_tells_coverage_and_error():
    rng = np.random.default_rng(0)
    logits_NK, labels_N = rng.normal(0, 3, (1000, 5)), rng.integers(0, 5, 1000)
    is_wrong_N = logits_NK.argmax(axis=1) != labels_N
    limit, told = evaluation.unknown_threshold(evaluation.energy(logits_NK), is_wrong_N)
    is_kept_N = logsumexp(logits_NK, axis=1) >= limit
    wrong = (logits_NK.argmax(1) != labels_N)[is_kept_N].mean()
    assert is_kept_N.sum() == 950
    assert told.startswith(f"keeps 95.0 % of val, of which {100 * wrong:.1f} % are wrong")


def other_weights(monkeypatch):
    """Have exports store a classifier layer that says the opposite."""
    save = models.save_hub_folder

    def spoilt(model, *args, **more):
        with torch.no_grad():
            model.linear_head().weight.mul_(-1)
        save(model, *args, **more)
        with torch.no_grad():
            model.linear_head().weight.mul_(-1)

    monkeypatch.setattr(models, "save_hub_folder", spoilt)


def test_an_export_that_answers_otherwise_is_refused_and_leaves_nothing(
    runs, tmp_path, monkeypatch, carscale
):
    other_weights(monkeypatch)
    with pytest.raises(VerificationError, match="answers otherwise than the run"):
        workflows.export_run(runs / "squash", tmp_path / "out")
    assert carscale("export", runs / "squash", tmp_path / "out")[0] == 1
    assert list(tmp_path.iterdir()) == []


def test_eight_bits_are_kept_or_refused_by_what_they_lose(runs, tmp_path, tiny, monkeypatch):
    rule = workflows.ExportRule("onnx", int8=True, fixed_batch=2)
    from carscale.workflows.exporting import verify

    monkeypatch.setattr(verify, "MAX_DROP", 1.0)
    made = workflows.export_run(runs / "squash", tmp_path / "out", rule)
    floats = workflows.export_run(
        runs / "squash", tmp_path / "floats", workflows.ExportRule("onnx", fixed_batch=2)
    )
    sizes = [(place / "model.onnx").stat().st_size for place in (made, floats)]
    assert sizes[0] < 0.7 * sizes[1]
    import onnx

    tensors = onnx.load(made / "model.onnx").graph.initializer
    scales = [one.dims for one in tensors if one.name.endswith("weight_scale")]
    assert len(scales) > 5
    assert all(len(dims) == 1 and dims[0] > 1 for dims in scales)  # one a channel
    val = data.read_splits(tiny).val
    ours_NK, pictures_NHWC = asked(runs / "squash", val)
    _, eight_NK = export.open_exported(made).answer(pictures_NHWC)
    off = np.abs(eight_NK - ours_NK).max() / ours_NK.std()
    assert 0.001 < off < 1.5
    drop = json.loads((made / "verify.json").read_text())["from_files"]["drop"]
    monkeypatch.setattr(verify, "MAX_DROP", drop - 0.001)
    with pytest.raises(VerificationError, match="eight bits lose too much"):
        workflows.export_run(runs / "squash", tmp_path / "refused", rule)
    assert not (tmp_path / "refused").exists()


def test_the_card_is_read_by_the_hubs_library(folders, runs):
    from huggingface_hub import ModelCard

    for name in ("hub", "onnx", "openvino", "pt2"):
        card = ModelCard.load(folders / name / "README.md")
        found = {
            (one.dataset_split, one.metric_type): one.metric_value for one in card.data.eval_results
        }
        metrics = RunFolder(runs / "squash").metrics()["val"]
        assert found["val", "accuracy"] == pytest.approx(metrics["top1"]["value"], abs=1e-4)
        assert found["val", "f1"] == pytest.approx(metrics["macro_f1"]["value"], abs=1e-4)
        assert str(ModelCard(str(card))) == str(card)
        text = card.text
        for part in ("photos of val", "Licence of the photos", "hash of train", "temperature"):
            assert part in text
        assert str(runs.parent) not in str(card)  # the data's absolute path


def test_bad_input_is_refused_before_anything_is_written(runs, tmp_path, tiny, monkeypatch):
    run, out = runs / "squash", tmp_path / "out"
    shutil.copytree(runs / "pad", tmp_path / "begun")
    for best in (tmp_path / "begun" / "checkpoints").glob("best_*"):
        shutil.rmtree(best)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").touch()
    with pytest.raises(RunError, match="is there, and no export"):
        workflows.export_run(run, tmp_path / "mine", force=True)
    with pytest.raises(ConfigError, match="must be OWNER/NAME"):
        workflows.export_run(run, out, push="cars")
    with pytest.raises(ConfigError, match="is kept by what it loses"):
        workflows.export_run(run, out, workflows.ExportRule("onnx", int8=True, verify=False))
    with pytest.raises(ConfigError, match="--int8: not of --format hub"):
        workflows.export_run(run, out, workflows.ExportRule(int8=True))
    with pytest.raises(ConfigError, match="--format tflite: must be one of hub, onnx"):
        workflows.export_run(run, out, workflows.ExportRule("tflite"))
    with pytest.raises(RunError, match="no temperature was fitted"):
        workflows.export_run(runs / "pad", out, workflows.ExportRule(temperature=True))
    with pytest.raises(ModelError, match="holds no scored epoch yet"):
        workflows.export_run(tmp_path / "begun", out)
    for name in ("onnx", "openvino"):
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, name, None)
            with pytest.raises(MissingExtraError, match=rf"carscale\[{name}\]"):
                workflows.export_run(run, out, workflows.ExportRule(name))
    with pytest.raises(DataError, match=r"needs val's embeddings.*\n.*--embeddings"):
        workflows.predict(runs / "pad", [tiny / "val"], unknown=True)
    with pytest.raises(ConfigError, match="must be a probability"):
        workflows.predict(run, [tiny / "val"], above=1.5)
    assert not out.exists()


def test_what_is_sent_is_said_before_it_is_sent(runs, tmp_path, monkeypatch, capsys):
    said = []

    def push(folder, name):
        said.append(capsys.readouterr().err)
        return "http://hub/commit/1"

    monkeypatch.setattr(export, "push", push)
    rule = workflows.ExportRule(verify=False)
    workflows.export_run(runs / "squash", tmp_path / "out", rule, push="me/cars")
    (before,) = said
    assert "sends to me/cars on the hub, private if it is new" in before
    for path in (tmp_path / "out").iterdir():
        assert f"{path.name} (" in before
    assert "sent: http://hub/commit/1" in capsys.readouterr().err


def exported_by_ranks(run, out):
    """Export, as a rank of two would."""
    with pytest.raises(LaunchError, match="runs in one process"):
        workflows.export_run(run, out)


def test_several_processes_do_not_write_one_folder(runs, tmp_path):
    run_ranks(exported_by_ranks, runs / "squash", tmp_path / "out", world_size=2)
    assert list(tmp_path.glob("out*")) == []


def test_an_export_is_replaced_by_force_alone(runs, tmp_path, tiny):
    out = tmp_path / "out"
    rule = workflows.ExportRule(verify=False)
    workflows.export_run(runs / "squash", out, rule)
    with pytest.raises(RunError, match="--force"):
        workflows.export_run(runs / "squash", out, rule)
    workflows.export_run(runs / "squash", out, rule, force=True)
    assert "Not verified." in (out / "README.md").read_text()
    (out / "thesis.txt").touch()
    with pytest.raises(RunError, match="more than an export"):
        workflows.export_run(runs / "squash", out, rule, force=True)
    with pytest.raises(ModelError, match="exported with --verify none"):
        workflows.predict(out, [tiny / "val"], unknown=True)


def test_what_comes_to_the_folder_meanwhile_stays(runs, tmp_path, monkeypatch):
    out = tmp_path / "out"
    monkeypatch.setattr(export, "card_text", lambda *_: str(out.mkdir()) + str((out / "a").touch()))
    with pytest.raises(RunError, match="is there, and no export"):
        workflows.export_run(runs / "squash", out, workflows.ExportRule(verify=False))
    assert [path.name for path in out.iterdir()] == ["a"]


def test_damaged_exports_are_said(folders, tmp_path):
    (tmp_path / "a.onnx").write_bytes(b"no graph")
    with pytest.raises(ModelError, match="can't be read"):
        export.open_exported(tmp_path / "a.onnx")
    (tmp_path / "carscale.json").write_text('{"format": 9}')
    with pytest.raises(ModelError, match="format 9, wanted 1"):
        export.open_exported(tmp_path)
    (tmp_path / "carscale.json").write_text("[]")
    with pytest.raises(ModelError, match="says nothing that carscale reads"):
        export.open_exported(tmp_path)


@pytest.mark.parametrize(
    ("kind", "file"),
    [("pt2", "model.pt2"), ("openvino", "model.xml"), ("hub", "model.safetensors")],
)
def test_damaged_files_of_every_kind_are_said(folders, tmp_path, kind, file):
    shutil.copytree(folders / kind, tmp_path / "out")
    (tmp_path / "out" / file).write_bytes(b"torn")
    with pytest.raises(ModelError, match=r"can't be read|can't open it"):
        export.open_exported(tmp_path / "out")


def test_a_card_holds_names_of_strangers_as_text_and_no_figures_of_others(folders):
    from dataclasses import replace

    facts = export.open_exported(folders / "onnx").facts
    evil = "<img src=https://evil/x.png> [A4](https://evil) `x`"
    about = export.CardFacts("cars", "net", "data", licences={"CC\n\n# Own heading": 3})
    text = export.card_text(replace(facts, classes=(evil, "b", "c", "d")), about)
    assert "`<img src=https://evil/x.png> [A4](https://evil) 'x'`" in text
    assert "\n# Own heading" not in text
    assert "Not measured." in text


def test_figures_of_another_checkpoint_are_not_in_the_card(runs, tmp_path):
    shutil.copytree(runs / "squash", tmp_path / "run")
    file = tmp_path / "run" / "metrics.json"
    whole = json.loads(file.read_text())
    whole["val"]["about"]["checkpoint"] = "best_00000001"
    file.write_text(json.dumps(whole))
    words = (f"data.root={RunFolder(runs / 'squash').data_root}",)
    rule = workflows.ExportRule(verify=False)
    made = workflows.export_run(tmp_path / "run", tmp_path / "out", rule, settings=words)
    assert "Not measured." in (made / "README.md").read_text()


def test_a_network_is_raced_in_every_runtime(runs, monkeypatch):
    from carscale.benchmark import runtime_race

    monkeypatch.setattr(runtime_race, "ROUND_S", 0.01)
    monkeypatch.setattr(torch.nn.Module, "compile", lambda *_, **__: None)  # tens of seconds
    rows = workflows.race_runtimes(runs / "squash", num_threads=1)
    names = {row["runtime"] for row in rows}
    assert {"PyTorch", "channels_last", "ONNX Runtime", "OpenVINO", "torch.compile"} <= names
    assert all(row["ratio"]["median"] == 1 for row in rows if row["runtime"] == "PyTorch")
    assert {row["num_images"] for row in rows} == {1, 32}


def test_class_names_of_many_scripts_are_labels():
    export.check_names(
        ["Citro\u00ebn\u00a0C4", "\u30c8\u30e8\u30bf\u3000\u30ab\u30ed\u30fc\u30e9", "\u0160koda"]
    )


@pytest.mark.parametrize("name", ["Audi\nA4", "x" * 10_000, "  "])
def test_class_names_that_are_no_labels_are_refused(name):
    with pytest.raises(ModelError, match="labels of other tools can't hold it"):
        export.check_names(["BMW", name])


def test_a_photo_too_thin_for_timm_is_named_by_its_size(folders):
    sink = io.BytesIO()
    Image.new("RGB", (2000, 4)).save(sink, "JPEG")
    for name in ("hub", "pad-onnx"):
        assert export.open_exported(folders / name).answer_files([sink.getvalue()])
    with pytest.raises(ModelError, match=r"a photo of 2000 x 4 px.*\n.*--format onnx"):
        export.open_exported(folders / "pad-hub").answer_files([sink.getvalue()])
