"""What a run will cost, before it is begun: work counted by the run's own code, priced by stated assumptions.

size(RunShape(method=SePT(), training=SePT.training, ...), Scale(params=(7e9,), gpus=8)).gpu_hours
"""

from selftrain.loop.plan.assumptions import Assumptions
from selftrain.loop.plan.cost import Cost, Scale, cost_of, size
from selftrain.loop.plan.shape import RunShape
from selftrain.loop.plan.work import Work, work_of

__all__ = ["Assumptions", "Cost", "RunShape", "Scale", "Work", "cost_of", "size", "work_of"]
