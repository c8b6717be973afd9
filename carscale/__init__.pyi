from .curate.merge import Origin as Origin
from .curate.merge_rules import MergeRule as MergeRule
from .data.freezing.rule import FreezeRule as FreezeRule
from .errors import CarscaleError as CarscaleError
from .runs.folder import RunFolder as RunFolder
from .workflows.data_sets import check as check
from .workflows.data_sets import diff as diff
from .workflows.data_sets import draw_demo as draw_demo
from .workflows.data_sets import drop_duplicates as drop_duplicates
from .workflows.data_sets import find_duplicates as find_duplicates
from .workflows.data_sets import freeze as freeze
from .workflows.data_sets import pack as pack
from .workflows.data_sets import preview as preview
from .workflows.data_sets import relabel as relabel
from .workflows.data_sets import write_data_report as write_data_report
from .workflows.model_runs import analyse as analyse
from .workflows.model_runs import draw_saliency as draw_saliency
from .workflows.model_runs import evaluate as evaluate
from .workflows.model_runs import predict as predict
from .workflows.model_runs import train as train
from .workflows.model_runs import write_report as write_report
from .workflows.model_runs import write_reports as write_reports
from .workflows.other_sets import compare_sets as compare_sets
from .workflows.other_sets import map_classes as map_classes
from .workflows.other_sets import merge as merge

__version__: str
