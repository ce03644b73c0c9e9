"""The quality report of a store: what was drawn, what the images measure, whether order and registration hold."""

from collections import Counter
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from ..degrade.errors import StoreError
from ..degrade.images import sources
from ..degrade.images.pixels import encode_png
from ..degrade.manifest import from_row
from ..degrade.ops.render import render_all
from ..degrade.ops.step import Degradation, from_rows
from ..degrade.pairs.recipe import RealPairs
from ..degrade.pairs.shifts import distance_in
from ..degrade.progress import progress
from ..degrade.quality.disorder import disorder_of
from ..degrade.quality.pixel_measures import measure_pixels
from ..degrade.quality.preview import store_sheet
from ..degrade.quality.registration import of_places, registration
from ..degrade.quality.render_again import row_of
from ..degrade.recipes.mm_realsr import Role
from ..degrade.recipes.store_config import GROUPS, StoreConfig
from ..degrade.storage import location as places
from ..degrade.storage import tables
from ..degrade.storage.location import Place
from ..degrade.storage.provenance import provenance
from ..degrade.storage.shards.reader import ShardReader
from ..degrade.storage.shards.store import Store
from ..degrade.storage.shards.verify import digest
from ..degrade.tasks import Run
from ..noisebank.statistics import estimated_sigma
from .report.page import Picture, Section, Table, page
from .report.store_plots import F64, boxes, histograms
from .shift_section import shift_section

KIND = "quality-report"
MEASURED = pa.schema(
    [
        ("sample", pa.int64()),
        ("member", pa.string()),
        ("gain", pa.float64()),
        ("noise", pa.float64()),
        ("sigma", pa.float64()),
        ("blockiness", pa.float64()),
        ("registration_error", pa.float64()),
        ("drift", pa.float64()),
    ]
)
_MEASURES = {
    "gain": "fine detail left, share of the HR's",
    "noise": "noise (gray levels of 255)",
    "sigma": "noise by its wavelets (gray levels)",
    "blockiness": "blockiness (1: none)",
    "registration_error": "registration error (HR px)",
}
_CAPTION = (
    "Gain, noise, blockiness and registration by member. Noise is measured twice: as what no filter of the HR "
    "explains, and by scikit-image from the LR alone (the median of its finest wavelets), which counts some texture."
)
_SHOWN = 4


def _measure(sample: int, store: Store) -> list[dict[str, Any]]:
    members: tuple[str, ...] = tuple(store.attributes["members"])
    row = row_of(store, sample)
    drawn = from_row(row, members)
    hr, lr = (ShardReader(store, name).read([sample])[0] for name in ("hr", "lr"))
    rows: list[dict[str, Any]] = []
    for name, image in zip(members, lr, strict=True):
        found = measure_pixels(hr, image)
        error, drift = _registered(row, of_places(drawn.members[name]), len(hr), len(hr) // len(image))
        rows.append(
            {
                "sample": sample,
                "member": name,
                "gain": found.gain,
                "noise": found.noise,
                "sigma": float(estimated_sigma(image[None])[0]),
                "blockiness": found.blockiness,
                "registration_error": error,
                "drift": drift,
            }
        )
    return rows


def _registered(row: dict[str, Any], steps: Degradation, hr_px: int, scale: int) -> tuple[float | None, float | None]:
    """Error and drift in HR pixels: of a chain of steps by rendering it, of real pairs what was measured of them."""
    if not row.get("lr_source"):
        aligned = registration(lambda places: render_all(places, [steps])[0], hr_px)
        return aligned.error, aligned.drift
    return distance_in(row, scale), None


def measure_store(store: Store, num_samples: int, run: Run) -> pa.Table:
    """A row of `MEASURED` for each member of so many samples, spread evenly over the store."""
    total = store.layout.num_samples
    samples = np.unique(np.linspace(0, total - 1, min(num_samples, total)).round().astype(int)).tolist()
    rows: list[dict[str, Any]] = []
    with progress("measure", len(samples)) as advance:
        for outcome in run(partial(_measure, store=store), samples):
            if outcome.error is not None:
                raise outcome.error
            rows += outcome.result or []
            advance(1, "")
    order = {name: i for i, name in enumerate(store.attributes["members"])}
    rows.sort(key=lambda row: (row["sample"], order[row["member"]]))
    return pa.Table.from_pylist(rows, schema=MEASURED)


def _drawn(store: Store) -> tuple[dict[str, dict[str, F64]], Counter[str]]:
    """(every drawn number by parameter and member, how often each kind of step stands in a chain).

    Of groups the three members that are drawn: CLEAN has no levels, and WORST's are the ends of the ranges.
    """
    drawn = [name for name in store.attributes["members"] if name not in (Role.CLEAN, Role.WORST)]
    hr_px = store.layout.array("hr").sample_shape[0]
    numbers: dict[str, dict[str, list[float]]] = {}
    kinds: Counter[str] = Counter()
    for shard in range(store.layout.num_shards):
        table = store.manifest_of(shard)
        for member in drawn:
            for steps in table[member].to_pylist():
                for step in from_rows(steps):
                    kinds[step.family] += 1
                    for name, value in step.parameters(hr_px).items():
                        numbers.setdefault(name, {}).setdefault(member, []).append(value)
    return {name: {m: np.array(v) for m, v in of.items()} for name, of in sorted(numbers.items())}, kinds


def _left_out(store: Store) -> Table:
    """How many images of the index beside the store have each status; from its own config what is too small."""
    index = store.path.with_name(f"{store.path.name}.index.parquet")
    try:
        rows = sources.read(index)
    except StoreError:
        return Table(("images", "count"), ((f"{index.name} is not beside the store", "-"),))
    counts = Counter(row.status for row in rows)
    config = StoreConfig.model_validate(store.provenance.values)
    small = sum(min(row.width, row.height) < config.crop_size_px for row in sources.usable(rows))
    lines = list(counts.items())
    if not isinstance(config.recipe, RealPairs):
        lines.append((f"ok, but smaller than a crop of {config.crop_size_px} px", small))
    return Table(("images", "count"), tuple((name, str(count)) for name, count in lines))


def _share(holds: npt.NDArray[np.bool_]) -> str:
    return f"{100 * float(np.mean(holds)):.1f}%"


def _order_section(store: Store, measured: pa.Table) -> Section:
    found = disorder_of(store)
    assert found is not None
    total = store.layout.num_samples
    gain, noise = (
        np.asarray(measured[name]).reshape(-1, len(store.attributes["members"])) for name in ("gain", "noise")
    )
    at = {role: store.attributes["members"].index(role) for role in Role}
    degraded = [at[Role.BASE], at[Role.BLURRIER], at[Role.NOISIER]]
    rows = (
        ("BLURRIER has less fine detail than BASE", _share(gain[:, at[Role.BLURRIER]] < gain[:, at[Role.BASE]])),
        ("NOISIER has more noise than BASE", _share(noise[:, at[Role.NOISIER]] > noise[:, at[Role.BASE]])),
        ("WORST has the least detail", _share(gain[:, at[Role.WORST]] <= gain[:, degraded].min(axis=1))),
        ("WORST has the most noise", _share(noise[:, at[Role.WORST]] >= noise[:, degraded].max(axis=1))),
    )
    text = (
        f"Each group was measured when it was rendered, against the same chain without noise and codecs. "
        f"{found.num_redrawn} of {total} groups were not in order and were drawn again ({found.num_draws} draws in "
        f"all); {found.num_disordered} are not in order now."
    )
    other = (
        "The table asks other measures, which see the pixels alone: fine detail by its regression on the HR's, noise "
        "as what no 7x7 filter of the HR explains. They are less exact, so a few groups differ."
    )
    return Section("Order", (text, other), (Table(("by the pixels alone", "of the groups"), rows),))


def _registration_section(measured: pa.Table) -> Section:
    errors = np.asarray(measured["registration_error"])
    text = (
        f"Where each LR pixel was taken from, against where it should be: {errors.mean():.3f} HR pixels on average, "
        f"{np.percentile(errors, 95):.3f} in the worst twentieth, {errors.max():.3f} at most. Measured by rendering "
        "each chain, without noise and codecs, on an image of coordinates."
    )
    return Section("Registration", (text,), ())


def write_quality(store: Store, out: Place, num_samples: int, run: Run) -> list[Place]:
    """Measure a store and write the page `out` and, beside it, the measurements as Parquet; gives back both paths."""
    measured = measure_store(store, num_samples, run)
    table_path = out.with_suffix(".parquet")
    config = StoreConfig.model_validate(store.provenance.values)
    found = digest(store)
    tables.write(table_path, measured, provenance(KIND, config, found))
    members: list[str] = store.attributes["members"]
    layout, made = store.layout, store.provenance
    about = (
        ("kind", made.kind),
        ("recipe", config.recipe.kind),
        ("samples", str(layout.num_samples)),
        ("HR, LR", f"{config.hr_size_px} px, {config.lr_size_px} px (x{config.recipe.scale})"),
        ("members", ", ".join(members)),
        ("seed", str(config.seed)),
        ("digest", found),
        ("made by", ", ".join(f"{name} {version}" for name, version in made.versions.items())),
    )
    numbers, kinds = _drawn(store)
    parameters = (
        [
            Picture(
                histograms(numbers), "What was drawn, over all samples; of groups for the three members that are drawn."
            )
        ]
        if numbers
        else []
    )
    counted = Table(("step", "count"), tuple((name, str(count)) for name, count in kinds.most_common()))
    shown = np.unique(np.linspace(0, layout.num_samples - 1, _SHOWN).round().astype(int)).tolist()
    sheet = Picture(encode_png(store_sheet(store, shown)), f"Samples {', '.join(map(str, shown))}, as they are stored.")
    sections = [
        Section("The store", (), (Table(("", ""), about), sheet)),
        Section("Images", ("What the folders held when the store was built.",), (_left_out(store),)),
        *([Section("Drawn parameters", (), (*parameters, counted))] if kinds else []),
        Section(
            "What the images measure",
            (f"{measured.num_rows // len(members)} samples, spread evenly over the store; boxes are the middle half.",),
            (Picture(boxes(measured, members, _MEASURES), _CAPTION),),
        ),
    ]
    if made.kind == GROUPS:
        sections.append(_order_section(store, measured))
    photographed = isinstance(config.recipe, RealPairs)
    sections.append(shift_section(store) if photographed else _registration_section(measured))
    places.write(out, page(f"Quality of {store.path.name}", str(store.path), sections))
    return [out, table_path]
