"""Every knob on one page, and the way from text to a checked recipe.

In: a recipe's defaults, ``config=file.yaml``, ``key=value``. Out: one frozen ``Recipe``, or one
``ConfigError`` that names all mistakes. No torch here, so a typo answers in a tenth of a second.

To add a knob: one line in ``schema.py``; nothing else lists them. ``plain_yaml`` is for files of
other rooms that people edit.

Chosen: pydantic models in Python, overrides as bare ``key=value``. Rejected: YAML with inheritance
(nobody can tell what runs), argparse flags (two lists to keep alike), dataclasses (hand-written
checks).
"""

from carscale.config.load import differences, flat, from_yaml, parse, resolve, to_yaml
from carscale.config.plain_yaml import read_plain_yaml, to_plain_yaml
from carscale.config.schema import (
    Augment,
    Balance,
    Data,
    Evaluate,
    Loader,
    Model,
    Optim,
    Recipe,
    Run,
    Train,
)
from carscale.config.study import Arm, Budget, Study, read_study

__all__ = [
    "Arm",
    "Augment",
    "Balance",
    "Budget",
    "Data",
    "Evaluate",
    "Loader",
    "Model",
    "Optim",
    "Recipe",
    "Run",
    "Study",
    "Train",
    "differences",
    "flat",
    "from_yaml",
    "parse",
    "read_plain_yaml",
    "read_study",
    "resolve",
    "to_plain_yaml",
    "to_yaml",
]
