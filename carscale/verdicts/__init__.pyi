from .results import judge as judge
from .study_result import StudyResult as StudyResult
