"""The run folder: the one place that knows a run's file names.

runs/<name>/ config.yaml  env.json  classes.json  log.jsonl (deterministic)  timing.jsonl
             checkpoints/  predictions/{val,test}.parquet  metrics.json  calibration.json
             test_evaluations.jsonl  report/index.html

- ``folder``: ``RunFolder``: paths, readers, and answers: finished? best checkpoint? which data?
- ``checkpoint_files``: what lies in a checkpoint.
- ``data_root``: where its frozen folder lies, from anywhere.
- ``resume``: settings that may change when a run goes on.

Chosen: a number for the layout in ``env.json``; a folder of another number is refused. Rejected:
reading old layouts: each reader would keep two names for one thing.
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
