"""The run folder: the one place that knows a run's file names.

runs/<name>/ config.yaml  env.json  classes.json  log.jsonl (deterministic)  timing.jsonl
             checkpoints/  predictions/{val,test}.parquet  metrics.json  calibration.json
             test_evaluations.jsonl  report/index.html
"""

import lazy_loader as lazy

__getattr__, __dir__, __all__ = lazy.attach_stub(__name__, __file__)
