"""Every setting on one page, and the way from text to a checked recipe.

In: a recipe's defaults, ``config=file.yaml``, ``key=value``. Out: one frozen ``Recipe``, or one
``ConfigError`` that names all mistakes. No torch here, so a typo answers in a tenth of a second.

- ``schema``: every setting, its default and meaning. To add one: a line here; nothing else lists
  them.
- ``load``: command line and YAML to settings and back; ``vary``: a recipe from its parent.
- ``recipe_file``: a recipe's settings, by running its file or by reading it alone.
- ``study``: study files. ``plain_yaml``: YAML that people edit, for other rooms.
- ``packaged_files``: recipes, studies and presets that come with carscale, by name.

Chosen: pydantic models in Python, overrides as bare ``key=value``. Rejected: YAML with inheritance
(nobody can tell what runs), argparse flags (two lists to keep alike), dataclasses (hand-written
checks).
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
