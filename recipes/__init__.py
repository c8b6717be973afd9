"""Recipes: what to train, one file each. ``carscale recipes`` lists them and prints one to copy.

A variation states its parent and what differs. ``presets/`` hold a network family's settings,
``studies/`` comparisons for ``carscale study``.
"""
