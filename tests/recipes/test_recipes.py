"""Recipes are short, state choices only, and run."""

import ast
import importlib

import jobs
import pytest

from carscale import config, files

RECIPES = sorted(jobs.RECIPES.glob("[a-z]*.py"))


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_states_choices_and_holds_no_logic(path):
    tree = ast.parse(path.read_text())
    logic = (ast.For, ast.While, ast.If, ast.Try, ast.ListComp, ast.Lambda)
    inside = [node for part in tree.body[:-1] for node in ast.walk(part)]
    assert not [node for node in inside if isinstance(node, logic)]
    assert path.read_text().count("\n") <= 70
    assert "Run     accelerate launch" in ast.get_docstring(tree)


def test_recipes_differ_in_their_choices_alone():
    mains = set()
    for path in RECIPES:
        main = next(
            node for node in ast.parse(path.read_text()).body if isinstance(node, ast.FunctionDef)
        )
        mains.add(ast.unparse(main).replace(f"'{path.stem}'", "NAME"))
    assert len(mains) == 1


OWN = {  # what keeps a recipe's own idea in a network of toy size
    "convnext_finetune": ("model.name=test_convnext", "data.image_px=32"),
    "resnext_attention": ("model.name=test_resnet", "model.drop_path_rate=0"),
    "progressive_resize": ("data.image_px=48", "train.grow_from_px=16", "model.name=test_resnet"),
}


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_trains_two_steps(path, tiny, tmp_path):
    module = importlib.import_module(path.stem)
    words = [f"data.root={tiny}", f"run.dir={tmp_path}", *jobs.SMALL, "train.max_steps=2"]
    words += OWN.get(path.stem, ())
    module.main(config.resolve(module.RECIPE, words))
    log = files.read_lines(tmp_path / path.stem / "log.jsonl")
    assert [line["event"] for line in log] == ["start", "step", "step", "epoch", "end"]


def test_a_stored_config_starts_the_same_run_again(tiny, tmp_path):
    import effnet_focal

    first, second = tmp_path / "first", tmp_path / "second"
    jobs.train(tiny, first, ("train.max_steps=2",))
    words = [f"config={first / 'config.yaml'}", f"run.name={second.name}"]
    effnet_focal.main(config.resolve(effnet_focal.RECIPE, words))
    assert (first / "log.jsonl").read_bytes() == (second / "log.jsonl").read_bytes()
