from .checkpoint_files import card_file as card_file
from .checkpoint_files import state_file as state_file
from .checkpoint_files import step_of as step_of
from .checkpoint_files import weights_file as weights_file
from .data_root import data_places as data_places
from .folder import FORMAT as FORMAT
from .folder import RunFolder as RunFolder
from .resume import FREE_ON_RESUME as FREE_ON_RESUME
