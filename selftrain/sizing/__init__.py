"""What a run will cost, before it is begun: counted by the run's own code, priced by stated assumptions.

size(Plan(method=SePT(), learning=SePT.learning, ...), params=[7e9], gpus=8, given=Assumptions()).gpu_hours
"""

from selftrain.sizing.assumptions import Assumptions
from selftrain.sizing.cost import Cost, cost_of, saved_weights, size
from selftrain.sizing.plan import Plan
from selftrain.sizing.work import Work, work_of

__all__ = ["Assumptions", "Cost", "Plan", "Work", "cost_of", "saved_weights", "size", "work_of"]
