from .folder import find_run as find_run
from .folder import recipe_of as recipe_of
from .resume import FREE_ON_RESUME as FREE_ON_RESUME
