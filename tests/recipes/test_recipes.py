"""Recipes are short, state choices only, and run."""

import ast
import importlib

import jobs
import pytest

from carscale import config, pipeline
from carscale.recipes import effnet_focal
from carscale.runs import RunFolder

RECIPES = sorted(jobs.RECIPES.glob("[a-z]*.py"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_states_choices_and_holds_no_logic(path):
    tree = ast.parse(path.read_text())
    logic = (ast.For, ast.While, ast.If, ast.Try, ast.ListComp, ast.Lambda)
    inside = [node for part in tree.body[:-1] for node in ast.walk(part)]
    assert not [node for node in inside if isinstance(node, (*logic, ast.FunctionDef))]
    assert path.read_text().count("\n") <= 40
    assert "Run     accelerate launch" in ast.get_docstring(tree)
    last = f"if __name__ == '__main__':\n    pipeline.main('{path.stem}', RECIPE)"
    assert ast.unparse(tree.body[-1]) == last
    assert [ast.unparse(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)] == [
        "RECIPE"
    ]


OWN = {  # what keeps a recipe's own idea in a network of toy size
    "convnext_finetune": ("model.name=test_convnext", "data.image_px=32"),
    "resnext_attention": ("model.name=test_resnet", "model.drop_path_rate=0"),
    "progressive_resize": ("data.image_px=48", "train.grow_from_px=16", "model.name=test_resnet"),
}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_trains_two_steps(path, tiny, tmp_path):
    recipe = importlib.import_module(f"carscale.recipes.{path.stem}").RECIPE
    words = [f"data.root={tiny}", f"run.dir={tmp_path}", *jobs.SMALL, "train.max_steps=2"]
    words += OWN.get(path.stem, ())
    if path.stem == "finetune_hard":
        jobs.train(tiny, tmp_path / "start", ("train.max_steps=2",))
        words += [f"model.weights={tmp_path / 'start'}"]
    run = pipeline.run(path.stem, config.resolve(recipe, words))
    assert run == RunFolder(tmp_path / path.stem)
    assert [line["event"] for line in run.log()] == ["start", "step", "step", "epoch", "end"]


def test_a_stored_config_starts_the_same_run_again(tiny, tmp_path):
    first, second = tmp_path / "first", tmp_path / "second"
    jobs.train(tiny, first, ("train.max_steps=2",))
    words = [f"config={first / 'config.yaml'}", f"run.name={second.name}"]
    pipeline.run("effnet_focal", config.resolve(effnet_focal.RECIPE, words))
    assert (first / "log.jsonl").read_bytes() == (second / "log.jsonl").read_bytes()
