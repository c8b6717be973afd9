from .loader_race import RaceRule as RaceRule
from .loader_race import race as race
from .model_race import ModelRule as ModelRule
from .model_race import measure_models as measure_models
from .runtime_race import BATCHES as BATCHES
from .runtime_race import race_runtimes as race_runtimes
