from .loader_race import RaceRule as RaceRule
from .loader_race import race as race
from .model_race import ModelRule as ModelRule
from .model_race import measure_models as measure_models
