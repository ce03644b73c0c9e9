"""How models are measured on a store of held-out groups."""

from collections.abc import Iterator, Mapping

import torch

from ..degrade.reader import ShardReader
from ..degrade.shards import Store
from . import metrics
from .report import MetricRow
from .restore import Model, restore
from .tensors import to_tensor


def evaluate(store: Store, models: Mapping[str, Model], device: torch.device) -> Iterator[list[MetricRow]]:
    """PSNR-Y and SSIM-Y of every member of every group under every model; the rows of one group at a time."""
    hr_reader, lr_reader = ShardReader(store, "hr"), ShardReader(store, "lr")
    scale, members = int(store.attributes["scale"]), [str(name) for name in store.attributes["members"]]
    sources = store.manifest()["source"].to_pylist()
    for sample in range(store.layout.num_samples):
        hr = to_tensor(hr_reader.read([sample])).expand(len(members), -1, -1, -1)
        lr = to_tensor(lr_reader.read([sample])[0])
        rows: list[MetricRow] = []
        for name, model in models.items():
            sr = restore(model, lr, device)
            for metric, function in (("psnr", metrics.psnr), ("ssim", metrics.ssim)):
                values = function(sr, hr, border=scale).tolist()
                rows += [
                    MetricRow(name, sources[sample], sample, member, metric, value, "Y", scale)
                    for member, value in zip(members, values, strict=True)
                ]
        yield rows
