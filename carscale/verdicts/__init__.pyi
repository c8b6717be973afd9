from .results import StudyResult as StudyResult
from .results import judge as judge
