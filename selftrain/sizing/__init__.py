"""What a run will cost, before it is begun: work counted by the run's own code, priced by stated assumptions.

size(Plan(method=SePT(), training=SePT.training, ...), Scale(params=(7e9,), gpus=8)).gpu_hours
"""

from selftrain.sizing.assumptions import Assumptions
from selftrain.sizing.cost import Cost, Scale, cost_of, size
from selftrain.sizing.plan import Plan
from selftrain.sizing.work import Work, work_of

__all__ = ["Assumptions", "Cost", "Plan", "Scale", "Work", "cost_of", "size", "work_of"]
