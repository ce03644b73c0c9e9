"""The stages of a pipeline by file: what each is made of, and how."""

from .base import Stage
from .evaluate import Evaluate, Report
from .images import Bank, Index, Scan
from .pairs import MakePairs, Pairs
from .store import Export, Store
from .train import FineTune, Train

STAGES: dict[str, type[Stage]] = {
    each.kind: each for each in (Index, Scan, Bank, Store, Pairs, MakePairs, Train, FineTune, Export, Evaluate, Report)
}
