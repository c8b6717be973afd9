from .checkpoint import load_best as load_best
from .checkpoint import load_checkpoint as load_checkpoint
from .dynamics import read_dynamics as read_dynamics
from .learner import Learner as Learner
from .loop import fit as fit
from .schedule import ema_decay_at as ema_decay_at
from .schedule import epoch_ends as epoch_ends
from .schedule import lr_factor as lr_factor
