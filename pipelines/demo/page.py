"""The demo's measurements, and the page that explains each of its stages to somebody who has never heard of it."""

from collections.abc import Sequence
from pathlib import Path

from ...degrade.images.contact_sheet import Cell, contact_sheet
from ...degrade.images.decode import decode
from ...degrade.images.pixels import encode_png
from ...degrade.images.read import read_bytes
from ...degrade.images.sources import read as read_index
from ...degrade.quality.preview import store_sheet
from ...degrade.storage.local import write_atomic
from ...degrade.storage.shards.store import Store
from ...eval.protocols import restoration, udem_curves
from ...eval.protocols.base import BICUBIC
from ...eval.report import bank_plots, plots
from ...eval.report import table as report
from ...eval.report.page import Picture, Section, Table, page
from ...noisebank.bank import BankConfig, NoiseBank
from ...noisebank.cati import CatiRule
from ...noisebank.pictures import bank_sheet
from ...noisebank.set_scan import open_scan
from ...train.runs.checkpoint import read_log
from .measure import FOLLOWS, MODEL, STRENGTHS, first_of_each_source

# ------------------------------------------------------------------------------------------------------ page


def _sources_section(out: Path) -> Section:
    rows = [*read_index(out / "index.parquet"), *read_index(out / "held-out.index.parquet")]
    table = Table(
        ("photograph", "size", "mode", "status", "used for"),
        tuple(
            (
                row.path,
                f"{row.width} x {row.height}",
                row.mode,
                row.status,
                Path(row.root).name.replace("-", " "),
            )
            for row in rows
        ),
    )
    return Section(
        "1. The photographs",
        (
            "Real-world super-resolution makes a small, flawed photograph large and clean. To learn that, a network "
            "needs pairs: a flawed small image and the good large one that it came from. Such pairs hardly exist, so "
            "we take good photographs and make the flaws ourselves, as lifelike as we can.",
            "Every file is read whole before anything is built from it. A damaged one would stand here with its "
            "reason, and be left out. The held-out photographs are never trained on; they are for measuring.",
        ),
        (table,),
    )


def _bank_section(out: Path, bank: NoiseBank) -> Section:
    (target,) = open_scan(out / "bank.zarr.scan")
    config = BankConfig.model_validate(bank.store.provenance.values)
    tiles = {target.name: target.read_tiles(config.grid)}
    assert bank.cati is not None and isinstance(bank.rule, CatiRule)
    (interval,), (photographs,) = bank.cati.intervals, bank.sets
    return Section(
        "2. The noise bank",
        (
            "Cameras leave noise, and the noise of real cameras is not the neat bell curve of a textbook. It can be "
            "collected: where a photograph shows nothing (sky, a wall), what varies is the noise alone. So every "
            f"photograph is cut into tiles of {bank.size_px} pixels, and the variance "
            "and the mean brightness of each tile are measured.",
            f"The flattest {bank.rule.quantile:.0%} of the tiles span an interval of variance "
            f"({interval.variance[0]:.2f} to {interval.variance[1]:.2f}) and of brightness ({interval.mean[0]:.0f} to "
            f"{interval.mean[1]:.0f}): the characteristic interval (CATI) of this set of photographs. The "
            f"{len(bank.patches)} tiles inside it are the noise bank. {photographs.num_left_out} of "
            f"{photographs.num_tiles} tiles were left out because they are constant or clipped, and so carry no noise.",
        ),
        (
            Picture(
                bank_plots.tiles_and_rule(tiles, bank.rule, bank.cati),
                "Each dot is a tile. The box is the characteristic interval; the tiles in it were taken.",
            ),
            Picture(
                encode_png(bank_sheet(bank)),
                "Patches of the bank as they are (left of each pair), and their noise made eight times as strong. "
                "Grain is what we want. Where you see a pattern, the rule took a faint texture for noise: a bank is "
                "worth a look before it is used.",
            ),
        ),
    )


def _groups_section(store: Store) -> Section:
    samples = [0, store.layout.num_samples // 2, store.layout.num_samples - 1]
    return Section(
        "3. The degraded groups",
        (
            "From each crop of a photograph (HR, high resolution) five small flawed images (LR, low resolution) are "
            "made, by the second-order chain of Real-ESRGAN: blur, resize, noise and JPEG, twice over, as happens to "
            "a picture that is taken, sent, shrunk and sent again.",
            "The five differ by design. BLURRIER has more blur than BASE and the same noise; NOISIER has more noise "
            "and the same blur; CLEAN is only made smaller; WORST has the most of everything. So for each pair we "
            "know which is worse, without having to say by how much. Every number that was drawn stands in the "
            "store's manifest, and any sample can be made again from it, to the last bit.",
        ),
        (
            Picture(
                encode_png(store_sheet(store, samples)),
                "Three groups of the store, with what was drawn for each.",
            ),
        ),
    )


def _training_section(out: Path, store: Store) -> Section:
    return Section(
        "4. The training",
        (
            "Two networks learn together. The UDEM looks at an LR image and gives it two scores between 0 and 1, one "
            "for blur and one for noise. The generator (residual-in-residual dense blocks, RRDB) enlarges the image "
            "four times, steered by these scores through a condition network.",
            "Three losses drive them. The pixel loss asks for the HR image. The ranking losses ask that BLURRIER and "
            "NOISIER get a higher score than BASE. The anchor loss pins CLEAN to 0 and WORST to 1. This is the first "
            "stage of MM-RealSR, at a size that a laptop trains in minutes: expect the idea, not the quality of a "
            "model trained for days.",
        ),
        (
            Picture(
                plots.loss_curves(read_log(out / "run")),
                f"The losses while training on {store.layout.num_samples} groups. Each point is a mean over 50 steps.",
            ),
        ),
    )


def _scores_section(rows: Sequence[report.MetricRow]) -> Section:
    found = {MODEL: udem_curves.curves_of(rows, MODEL)}
    deaf = [each.degradation for each in found[MODEL] if not each.spearman > FOLLOWS]
    learnt = f"So short a training has not taught the scores to follow {' and '.join(deaf)}." if deaf else ""
    return Section(
        "5. Do the scores mean something?",
        (
            "A test with one flaw at a time: the held-out photographs, made small and clean, then blurred, made noisy "
            "or coded as JPEG at twenty rising levels. The network never sees how strong each level is; it only ever "
            "saw pairs. A Spearman correlation of 1 means that every stronger level got a higher score.",
            *([learnt] if learnt else []),
        ),
        (Picture(udem_curves.plot(found), "The UDEM's scores over rising blur, noise and compression."),),
    )


def _cells(out: Path, name: str, kinds: dict[str, str]) -> list[Cell]:
    folder = out / "restored"
    return [
        Cell(decode(read_bytes(folder / f"{name}_{kind}.png")).pixels, (caption,)) for kind, caption in kinds.items()
    ]


def _mean(rows: Sequence[report.MetricRow], model: str, metric: str, member: str | None) -> float:
    """Of one member, or of all."""
    only = {} if member is None else {"member": member}
    return report.mean(rows, model=model, metric=metric, **only)


def _results_section(out: Path, store: Store, rows: Sequence[report.MetricRow]) -> Section:
    names = list(first_of_each_source(store))
    kinds = {"lr": "LR (BASE)", "bicubic": "bicubic", "restored": "restored", "hr": "HR"}
    steered = {"lr": "LR (BASE)"} | {
        f"strength-{strength:.1f}": f"blur and noise score {strength:.1f}" for strength in STRENGTHS
    }
    members = [str(member) for member in store.attributes["members"]]
    rows = [row for row in rows if row.protocol == restoration.RESTORATION]
    table = Table(
        ("member", "PSNR-Y, bicubic", "PSNR-Y, ours", "SSIM-Y, bicubic", "SSIM-Y, ours"),
        tuple(
            (
                member or "all",
                *(
                    f"{_mean(rows, model, metric, member):.{digits}f}"
                    for metric, digits in (("psnr-y", 2), ("ssim-y", 4))
                    for model in (BICUBIC, MODEL)
                ),
            )
            for member in (*members, None)
        ),
    )
    gains = {
        member: _mean(rows, MODEL, "psnr-y", member) - _mean(rows, BICUBIC, "psnr-y", member)
        for member in (*members, None)
    }
    behind = " and ".join(member.upper() for member in members if gains[member] < 0)
    return Section(
        "6. The result on held-out photographs",
        (
            f"On {store.layout.num_samples} groups from {len(names)} photographs that were never trained on, degraded "
            f"by the same recipe, the model is {gains[None]:+.2f} dB in PSNR-Y against bicubic enlargement, on the "
            "mean of all members. PSNR is measured on the luma of 8-bit images, 4 pixels cropped from each side, as "
            "papers do.",
            *(
                [
                    f"On {behind} bicubic is ahead: a network this small smooths a little everywhere, "
                    "also where it need not."
                ]
                if behind
                else []
            ),
            "The last pictures turn the two scores by hand: this is the modulation that MM-RealSR is for. A low score "
            "says that there is little to remove and keeps texture; a high score smooths and sharpens more.",
        ),
        (
            table,
            Picture(plots.metric_bars(rows, "psnr-y", "dB"), "Mean PSNR-Y of each member. Higher is closer to HR."),
            Picture(
                encode_png(contact_sheet([_cells(out, name, kinds) for name in names], cell_px=288)),
                "Held-out photographs: the degraded input, bicubic, our restoration, and the original.",
            ),
            Picture(
                encode_png(contact_sheet([_cells(out, name, steered) for name in names], cell_px=288)),
                "One input, restored under three chosen scores.",
            ),
        ),
    )


def _next_section(out: Path) -> Section:
    return Section(
        "7. Go on from here",
        ("The same steps, on your own photographs, are one command each. Every command explains itself with --help.",),
        (
            Table(
                ("what", "command"),
                (
                    ("look at a folder", "rwsr sources index PHOTOS --out index.parquet"),
                    ("build a noise bank", "rwsr noisebank build --target PHOTOS --out bank.zarr --size 64"),
                    (
                        "build a store",
                        "rwsr degrade build --preset mm-realsr --source PHOTOS --out groups.zarr --samples 1000",
                    ),
                    ("check a store", f"rwsr store verify {out / 'groups.zarr'}"),
                    ("make one sample again", f"rwsr store render {out / 'groups.zarr'} 17 --out sample-17"),
                    (
                        "restore an image",
                        f"rwsr restore IMAGE --model {out / 'run'} --out restored --noise 0.8",
                    ),
                ),
            ),
        ),
    )


def write(
    out: Path, bank: NoiseBank, store: Store, held_out: Store, rows: Sequence[report.MetricRow]
) -> tuple[None, str, bool]:
    """report.html; False when the page is the same as before."""
    sections = [
        _sources_section(out),
        _bank_section(out, bank),
        _groups_section(store),
        _training_section(out, store),
        _scores_section(rows),
        _results_section(out, held_out, rows),
        _next_section(out),
    ]
    lead = "From a folder of photographs to a network that restores them, one stage at a time."
    data = page("rwsr: the whole path, on real photographs", lead, sections)
    path = out / "report.html"
    new = not path.exists() or path.read_bytes() != data
    if new:
        write_atomic(path, data)
    return None, "report.html", new
