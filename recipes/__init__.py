"""Recipes: choices of data, augmentation, balance, model and optimizer that train by one command.

Each file states ``RECIPE`` and runs as a script. ``studies/`` holds arms to compare, ``presets/`` a
family's settings to lay over any recipe: ``config=recipes/presets/convnext.yaml``.
"""
