"""Studies: arms x seeds, planned and trained one after another as ordinary run folders.

In: a study file and data. Out: run folders.

- ``plan``: which runs, and what may not change half way; ``speed``: how long they take.
- ``rounds``: which runs come next, where the study is looked at while it runs; ``earlier``: what
  other studies tell of the spread of seeds.
- ``run``: train what is missing, whatever was killed; ``launching``, ``warm``, ``fork_server``: how
  a recipe is started, cold or by a fork.
- ``folds``: train predicted by models that did not train on it; ``history``: all runs on a data set
  over time.
"""
