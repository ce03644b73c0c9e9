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
    from .degrade.images.sources import IndexConfig
    from .degrade.images.sources import index as index_images
    from .degrade.ops.render import apply
    from .degrade.ops.steps import (
        BankNoise,
        Blur,
        GaussianNoise,
        Jpeg,
        PoissonNoise,
        Resize,
        SpeckleNoise,
        UnsharpMask,
        Webp,
    )
    from .degrade.samples import StoreConfig
    from .degrade.seeds import stream
    from .degrade.storage.shards.reader import ShardReader
    from .degrade.tasks import serial, threads
    from .eval.images.sets import of_folders as image_set
    from .eval.images.tiling import restore_pixels
    from .eval.metrics.by_name import named as metric
    from .eval.protocols.restoration import Method, evaluate
    from .eval.report.pages import write_report
    from .eval.report.table import MetricRow
    from .eval.report.table import read as read_report
    from .noisebank.bank import BankConfig, NoiseBank
    from .train.data.datasets import GroupDataset, PairDataset
    from .train.networks.open import open_restorer as open_model

_AT = {  # where each name is, and what it is called there
    "BankConfig": "noisebank.bank:BankConfig",
    "BankNoise": "degrade.ops.steps:BankNoise",
    "Blur": "degrade.ops.steps:Blur",
    "GaussianNoise": "degrade.ops.steps:GaussianNoise",
    "GroupDataset": "train.data.datasets:GroupDataset",
    "ImageError": "degrade.errors:ImageError",
    "IndexConfig": "degrade.images.sources:IndexConfig",
    "Jpeg": "degrade.ops.steps:Jpeg",
    "Method": "eval.protocols.restoration:Method",
    "MetricRow": "eval.report.table:MetricRow",
    "NoiseBank": "noisebank.bank:NoiseBank",
    "PairDataset": "train.data.datasets:PairDataset",
    "PoissonNoise": "degrade.ops.steps:PoissonNoise",
    "Resize": "degrade.ops.steps:Resize",
    "ShardReader": "degrade.storage.shards.reader:ShardReader",
    "SpeckleNoise": "degrade.ops.steps:SpeckleNoise",
    "StoreConfig": "degrade.samples:StoreConfig",
    "StoreError": "degrade.errors:StoreError",
    "UnsharpMask": "degrade.ops.steps:UnsharpMask",
    "UserError": "degrade.errors:UserError",
    "Webp": "degrade.ops.steps:Webp",
    "apply": "degrade.ops.render:apply",
    "build_store": "degrade.build_store:build",
    "compose": "degrade.config:compose",
    "decode": "degrade.images.decode:decode",
    "evaluate": "eval.protocols.restoration:evaluate",
    "image_set": "eval.images.sets:of_folders",
    "index_images": "degrade.images.sources:index",
    "metric": "eval.metrics.by_name:named",
    "open_model": "train.networks.open:open_restorer",
    "open_store": "degrade.build_store:open_samples",
    "plan_store": "degrade.build_store:plan",
    "read_report": "eval.report.table:read",
    "restore_pixels": "eval.images.tiling:restore_pixels",
    "serial": "degrade.tasks:serial",
    "stream": "degrade.seeds:stream",
    "threads": "degrade.tasks:threads",
    "write_report": "eval.report.pages:write_report",
}

__all__ = [
    "BankConfig",
    "BankNoise",
    "Blur",
    "GaussianNoise",
    "GroupDataset",
    "ImageError",
    "IndexConfig",
    "Jpeg",
    "Method",
    "MetricRow",
    "NoiseBank",
    "PairDataset",
    "PoissonNoise",
    "Resize",
    "ShardReader",
    "SpeckleNoise",
    "StoreConfig",
    "StoreError",
    "UnsharpMask",
    "UserError",
    "Webp",
    "apply",
    "build_store",
    "compose",
    "decode",
    "evaluate",
    "image_set",
    "index_images",
    "metric",
    "open_model",
    "open_store",
    "plan_store",
    "read_report",
    "restore_pixels",
    "serial",
    "stream",
    "threads",
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
