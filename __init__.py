"""Training data, training and measurement for real-world super-resolution.

What stands here is what other programs may build upon; each name is imported when it is first asked for. All else in
the package may move.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .degrade.build_store import build as build_store
    from .degrade.build_store import open_samples as open_store
    from .degrade.build_store import plan as plan_store
    from .degrade.config import compose
    from .degrade.errors import ImageError, StoreError, UserError
    from .degrade.images.decode import decode
    from .degrade.images.listing import IndexConfig
    from .degrade.images.sources import index as index_images
    from .degrade.ops.bank_noise import BankNoise
    from .degrade.ops.blur import Blur
    from .degrade.ops.codecs import Jpeg, Webp
    from .degrade.ops.gaussian import GaussianNoise, SpeckleNoise
    from .degrade.ops.poisson import PoissonNoise
    from .degrade.ops.render import apply
    from .degrade.ops.resize import Resize
    from .degrade.ops.step import Site, Step
    from .degrade.ops.unsharp import UnsharpMask
    from .degrade.pairs.build_pairs import build_pairs, pairs_preset, plan_pairs
    from .degrade.pairs.listing import PairFiles, list_pairs
    from .degrade.quality.render_again import render_again
    from .degrade.recipes.base import Chance, Drawn, Recipe
    from .degrade.recipes.store_config import StoreConfig, store_preset
    from .degrade.seeds import stream
    from .degrade.storage.shards.reader import ShardReader
    from .degrade.tasks import serial, threads
    from .eval.images.sets import of_folders as image_set
    from .eval.images.tiling import restore_pixels
    from .eval.measure import measure
    from .eval.metrics import metric
    from .eval.metrics import ready as ready_metrics
    from .eval.metrics.base import Figure, Metric
    from .eval.pages import write_report
    from .eval.protocols.base import Protocol, ProtocolOptions, Setup, Subject
    from .eval.protocols.restoration import evaluate
    from .eval.report.page import Section
    from .eval.report.table import MetricRow
    from .eval.report.table import read as read_report
    from .eval.store_page import write_quality
    from .noisebank.bank import BankConfig, NoiseBank
    from .train.compose import method_of as training_method
    from .train.data.batches import GroupBatch
    from .train.data.datasets import GroupDataset, PairDataset
    from .train.data.of_training import stored
    from .train.engine.training import LoopConfig, Training
    from .train.files.open import open_restorer as open_model
    from .train.methods.base import Given, Preset, TrainingConfig
    from .train.methods.base import Method as TrainingMethod
    from .train.networks.base import NetworkConfig
    from .train.subjects import subject_of
    from .train.train import train_run

_AT = {  # where each name is, and what it is called there
    "BankConfig": "noisebank.bank:BankConfig",
    "BankNoise": "degrade.ops.bank_noise:BankNoise",
    "Blur": "degrade.ops.blur:Blur",
    "Chance": "degrade.recipes.base:Chance",
    "Drawn": "degrade.recipes.base:Drawn",
    "Figure": "eval.metrics.base:Figure",
    "GaussianNoise": "degrade.ops.gaussian:GaussianNoise",
    "Given": "train.methods.base:Given",
    "GroupBatch": "train.data.batches:GroupBatch",
    "GroupDataset": "train.data.datasets:GroupDataset",
    "ImageError": "degrade.errors:ImageError",
    "IndexConfig": "degrade.images.listing:IndexConfig",
    "Jpeg": "degrade.ops.codecs:Jpeg",
    "LoopConfig": "train.engine.training:LoopConfig",
    "Metric": "eval.metrics.base:Metric",
    "MetricRow": "eval.report.table:MetricRow",
    "NetworkConfig": "train.networks.base:NetworkConfig",
    "NoiseBank": "noisebank.bank:NoiseBank",
    "PairDataset": "train.data.datasets:PairDataset",
    "PoissonNoise": "degrade.ops.poisson:PoissonNoise",
    "Preset": "train.methods.base:Preset",
    "Protocol": "eval.protocols.base:Protocol",
    "ProtocolOptions": "eval.protocols.base:ProtocolOptions",
    "Recipe": "degrade.recipes.base:Recipe",
    "Resize": "degrade.ops.resize:Resize",
    "Section": "eval.report.page:Section",
    "Setup": "eval.protocols.base:Setup",
    "ShardReader": "degrade.storage.shards.reader:ShardReader",
    "Site": "degrade.ops.step:Site",
    "SpeckleNoise": "degrade.ops.gaussian:SpeckleNoise",
    "Step": "degrade.ops.step:Step",
    "StoreConfig": "degrade.recipes.store_config:StoreConfig",
    "StoreError": "degrade.errors:StoreError",
    "Subject": "eval.protocols.base:Subject",
    "Training": "train.engine.training:Training",
    "TrainingConfig": "train.methods.base:TrainingConfig",
    "TrainingMethod": "train.methods.base:Method",
    "UnsharpMask": "degrade.ops.unsharp:UnsharpMask",
    "UserError": "degrade.errors:UserError",
    "Webp": "degrade.ops.codecs:Webp",
    "apply": "degrade.ops.render:apply",
    "build_store": "degrade.build_store:build",
    "compose": "degrade.config:compose",
    "decode": "degrade.images.decode:decode",
    "evaluate": "eval.protocols.restoration:evaluate",
    "image_set": "eval.images.sets:of_folders",
    "index_images": "degrade.images.sources:index",
    "measure": "eval.measure:measure",
    "metric": "eval.metrics:metric",
    "open_model": "train.files.open:open_restorer",
    "open_store": "degrade.build_store:open_samples",
    "plan_store": "degrade.build_store:plan",
    "read_report": "eval.report.table:read",
    "ready_metrics": "eval.metrics:ready",
    "PairFiles": "degrade.pairs.listing:PairFiles",
    "build_pairs": "degrade.pairs.build_pairs:build_pairs",
    "list_pairs": "degrade.pairs.listing:list_pairs",
    "pairs_preset": "degrade.pairs.build_pairs:pairs_preset",
    "plan_pairs": "degrade.pairs.build_pairs:plan_pairs",
    "render_again": "degrade.quality.render_again:render_again",
    "restore_pixels": "eval.images.tiling:restore_pixels",
    "serial": "degrade.tasks:serial",
    "store_preset": "degrade.recipes.store_config:store_preset",
    "stored": "train.data.of_training:stored",
    "stream": "degrade.seeds:stream",
    "subject_of": "train.subjects:subject_of",
    "threads": "degrade.tasks:threads",
    "train_run": "train.train:train_run",
    "training_method": "train.compose:method_of",
    "write_quality": "eval.store_page:write_quality",
    "write_report": "eval.pages:write_report",
}

__all__ = [
    "BankConfig",
    "BankNoise",
    "Blur",
    "Chance",
    "Drawn",
    "Figure",
    "GaussianNoise",
    "Given",
    "GroupBatch",
    "GroupDataset",
    "ImageError",
    "IndexConfig",
    "Jpeg",
    "LoopConfig",
    "Metric",
    "MetricRow",
    "NetworkConfig",
    "NoiseBank",
    "PairDataset",
    "PairFiles",
    "PoissonNoise",
    "Preset",
    "Protocol",
    "ProtocolOptions",
    "Recipe",
    "Resize",
    "Section",
    "Setup",
    "ShardReader",
    "Site",
    "SpeckleNoise",
    "Step",
    "StoreConfig",
    "StoreError",
    "Subject",
    "Training",
    "TrainingConfig",
    "TrainingMethod",
    "UnsharpMask",
    "UserError",
    "Webp",
    "apply",
    "build_pairs",
    "build_store",
    "compose",
    "decode",
    "evaluate",
    "image_set",
    "index_images",
    "list_pairs",
    "measure",
    "metric",
    "open_model",
    "open_store",
    "pairs_preset",
    "plan_pairs",
    "plan_store",
    "read_report",
    "ready_metrics",
    "render_again",
    "restore_pixels",
    "serial",
    "store_preset",
    "stored",
    "stream",
    "subject_of",
    "threads",
    "train_run",
    "training_method",
    "write_quality",
    "write_report",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        from importlib.metadata import version

        return version("rwsr")
    if name not in _AT:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, called = _AT[name].partition(":")
    found = getattr(import_module(f"{__name__}.{module}"), called)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
