"""Every knob on one page, and the way from text to a checked recipe.

In: a recipe's defaults, ``config=file.yaml``, ``key=value``. Out: one frozen ``Recipe``, or one
``ConfigError`` that names all mistakes. No torch here, so a typo answers in a tenth of a second.

To add a knob: one line in ``schema.py``; nothing else lists them. ``plain_yaml`` is for files of
other rooms that people edit.

Chosen: pydantic models in Python, overrides as bare ``key=value``. Rejected: YAML with inheritance
(nobody can tell what runs), argparse flags (two lists to keep alike), dataclasses (hand-written
checks).
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
