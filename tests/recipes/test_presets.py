"""Presets: each resolves over the baseline recipe, and its network builds without weights."""

import jobs
import pytest
import yaml

from carscale import config, models
from carscale.recipes import effnet_baseline
from carscale.types import CarClass

PRESETS = sorted((jobs.RECIPES / "presets").glob("*.yaml"))
BASELINE = effnet_baseline.RECIPE
CLASSES = tuple(CarClass(name, name) for name in ("a", "b", "c"))


def test_there_is_one_for_each_family():
    families = {"convnext", "efficientnet", "efficientnetv2", "resnext", "vit"}
    assert {path.stem for path in PRESETS} == families


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_a_preset_resolves_and_builds_without_weights(path):
    cfg = config.resolve(BASELINE, [f"config={path}"])
    for section, values in yaml.safe_load(path.read_text()).items():
        for key, value in values.items():
            assert getattr(getattr(cfg, section), key) == value
    text = path.read_text()
    assert f"https://huggingface.co/timm/{cfg.model.name}" in text  # a tag says which weights
    assert "https://arxiv.org/abs/" in text
    view = models.preprocessing(cfg.model, cfg.data)
    model = models.build(cfg.model, view, CLASSES, with_weights=False)
    assert model.layer_numbers() or cfg.optim.layer_decay == 1
    later = config.resolve(BASELINE, [f"config={path}", "optim.lr=0.5"])
    assert later.optim.lr == 0.5  # words go over the file
