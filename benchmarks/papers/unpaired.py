"""FSSR, DASR and CinCGAN, trained small for a camera of which nobody has HR: what their papers are about.

    python benchmarks/papers/unpaired.py PHOTOGRAPHS HELD_OUT [WORK] [--only fssr dasr cincgan]

Half of the photographs is clean; the other half a camera with a noisy sensor took, and nobody has its HR. LR that a
learned downscaling makes is nearer to the camera's in its noise than bicubic LR is; a network that is trained on it
looks better (LPIPS) on held-out LR of that camera than one that is trained on bicubic LR, and one that cleans LR first
has more of its structure (SSIM). To DASR's discriminator the camera's LR is nearer than any other. WORK is kept when
named, and a second run goes on in it. On two cores about an hour; exits 1 when a promise is not kept.
"""

import argparse
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

from commands import promise, rwsr

from rwsr.degrade.images import sources
from rwsr.degrade.images.decode import decode
from rwsr.degrade.images.listing import IndexConfig
from rwsr.degrade.images.rows import SourceRow
from rwsr.eval.images.tensors import to_tensor
from rwsr.eval.report import table
from rwsr.pipelines.papers.simulated_cameras import NOISY, by_one_camera, made_smaller, written
from rwsr.train.files.open import judge_weights
from rwsr.train.losses.frequencies import haar
from rwsr.train.methods.baselines.downscaling import JudgeConfig, judge_of
from rwsr.train.networks.baselines.downscaling import bicubic_lr, check_downscaling, nearness

SCALE, HR_PX = 4, 160
METRICS = ("psnr-y", "ssim-y", "lpips-squeeze")
EDSR = {"arch": "edsr", "num_feat": 24, "num_block": 4, "img_range": 1}
QUICK = {"batch_size": 8, "lr_patch_px": 32, "learning_rate": 0.0005, "ema_decay": 0.99}


def sets(**keys: object) -> list[str]:
    """As `--set`s."""
    return [part for name, value in keys.items() for part in ("--set", f"{name}={value}")]


def images_of(folder: Path) -> list[torch.Tensor]:
    """The images of a folder, each [1, 3, H, W] in 0..1."""
    return [to_tensor(decode(path.read_bytes()).pixels)[None] for path in sorted(folder.glob("*.png"))]


def noise_of(images: Sequence[torch.Tensor]) -> float:
    """How noisy images are, in gray levels: by the median of their finest diagonal differences (Donoho 1994)."""
    return float(np.mean([haar(image)[3].abs().median().item() * 255 / 0.6745 for image in images]))


class Data:
    """The folders of the experiment, made once. clean: HR. photographs: of the camera, at the size of HR. camera: its
    LR. test_hr, test_lr: held-out.
    """

    def __init__(self, photographs: Path, held_out: Path, work: Path) -> None:
        work.mkdir(parents=True, exist_ok=True)
        config = IndexConfig(role="hr")
        rows = list(sources.usable(sources.index([photographs], work / "all.parquet", config)))
        tests = list(sources.usable(sources.index([held_out], work / "test.parquet", config)))
        halves = rows[::2], rows[1::2]

        def lr(pixels: np.ndarray, key: str) -> np.ndarray:
            return by_one_camera(made_smaller(pixels, SCALE), key, NOISY)

        def put(of: Sequence[SourceRow], name: str, change: object) -> Path:
            return written(of, work / name, name, change, SCALE)  # type: ignore[arg-type]

        self.clean = put(halves[0], "clean", lambda pixels, _: pixels)
        self.photographs = put(halves[1], "photographs", lambda pixels, key: by_one_camera(pixels, key, NOISY))
        self.camera = put(halves[1], "camera", lr)
        self.true_lr = put(halves[0], "true-lr", lr)  # what nobody has; to measure by
        self.test_hr = put(tests, "test-hr", lambda pixels, _: pixels)
        self.test_lr = put(tests, "test-lr", lr)
        self.recipe, self.work = work / "bicubic.yaml", work
        if not self.recipe.exists():
            self.recipe.write_text(f"recipe: {{kind: downscale, scale: {SCALE}}}\nhr_size_px: {HR_PX}\n")

    def train(self, method: str, preset: str, name: str, *more: object) -> Path:
        """A run, or what is there of it."""
        out = self.work / "runs" / name
        rwsr("train", method, "--preset", preset, "--out", out, *more)
        return out

    def pairs(self, name: str, by: Path, folder: Path, clean_up: int) -> Path:
        """A store of pairs that a learned downscaling makes of a folder, made so many times smaller first."""
        made, store = self.work / f"{name}-pairs", self.work / f"{name}.zarr"
        rwsr("pairs", "make", folder, "--by", by, "--out", made, "--clean-up", clean_up)
        rwsr("pairs", "build", "--hr", made / "HR", "--lr", made / "LR", "--out", store, "--scale", SCALE,
             "--samples", 2000, "--hr-size", 144)  # fmt: skip
        return store

    def measured(self, models: dict[str, Path]) -> dict[str, dict[str, float]]:
        """The mean of each metric of each model, and of bicubic, on held-out LR of the camera."""
        out = self.work / "metrics.parquet"
        named = [part for name, run in models.items() for part in ("--model", f"{name}={run}")]
        chosen = [part for name in METRICS for part in ("--metric", name)]
        rwsr("eval", "restoration", "--hr", self.test_hr, "--lr", self.test_lr, *named, *chosen, "--out", out)
        found: dict[str, dict[str, list[float]]] = {}
        for row in table.read(out):
            found.setdefault(row.model, {}).setdefault(row.metric, []).append(row.value)
        return {model: {name: float(np.mean(values)) for name, values in each.items()} for model, each in found.items()}


def bicubic_of(made: Path) -> list[torch.Tensor]:
    """LR by bicubic of the HR of pairs."""
    return [bicubic_lr(image, SCALE) for image in images_of(made / "HR")]


def noise(name: str, made: Path, real: Path) -> bool:
    """Whether learned LR is as noisy as the camera's, rather than as bicubic LR is."""
    ours, plain, wanted = noise_of(images_of(made / "LR")), noise_of(bicubic_of(made)), noise_of(images_of(real))
    said = f"{name}: noise of LR {ours:.2f} gray levels, of bicubic LR {plain:.2f}, of the camera's {wanted:.2f}"
    return promise(said, abs(ours - wanted) < abs(plain - wanted))


def near(data: Data, run: Path, made: Path) -> bool:
    """How near DASR's discriminator finds the camera's LR, learned LR and bicubic LR, all of the same photographs."""
    told = check_downscaling(run)
    judge = judge_of(JudgeConfig.model_validate(told["judge"]))
    judge.load_state_dict(judge_weights(run)[0])
    judge.eval()

    def mean(images: Sequence[torch.Tensor]) -> float:
        return float(np.mean([nearness(judge, image, SCALE).mean().item() for image in images]))

    camera, learned, plain = mean(images_of(data.true_lr)), mean(images_of(made / "LR")), mean(bicubic_of(made))
    said = f"DASR: nearness of the camera's LR {camera:.3f}, of learned LR {learned:.3f}, of bicubic LR {plain:.3f}"
    return promise(said, camera > plain and camera > learned)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("photographs", "held_out"):
        parser.add_argument(name, type=Path)
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--only", nargs="*", default=["fssr", "dasr", "cincgan"])
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        data = Data(told.photographs, told.held_out, told.work or Path(folder))
        live = ("--source", data.clean, "--recipe", data.recipe)
        quick = sets(**{f"loop.{name}": value for name, value in QUICK.items()})
        edsr = sets(**{f"network.{name}": value for name, value in EDSR.items()})
        models = {"bicubic LR": data.train("sr", "psnr-fp32", "edsr", *live, *quick, *edsr, "--steps", 1500)}
        kept = True
        if "fssr" in told.only:
            own = ("--source", data.photographs, "--recipe", data.recipe)
            camera = data.train("downscaling", "fssr-downscaling-small", "fssr-camera", *own)
            store = data.pairs("fssr", camera, data.photographs, 2)
            kept &= noise("FSSR", data.work / "fssr-pairs", data.photographs)
            models["FSSR"] = data.train("fssr", "fssr-small", "fssr", "--store", store)
        if "dasr" in told.only:
            with_camera = ("--photographs", data.camera)
            camera = data.train("downscaling", "dasr-downscaling-small", "dasr-camera", *live, *with_camera)
            store = data.pairs("dasr", camera, data.clean, 1)
            kept &= noise("DASR", data.work / "dasr-pairs", data.camera)
            kept &= near(data, camera, data.work / "dasr-pairs")
            models["DASR"] = data.train(
                "dasr", "dasr-small", "dasr", "--store", store, *with_camera, "--downscaling", camera
            )
        if "cincgan" in told.only:
            given = (*live, "--photographs", data.camera)
            inner = data.train(
                "cincgan", "cincgan-inner-small", "cincgan-inner", *given, "--start-from", models["bicubic LR"]
            )
            models["CinCGAN, first stage"] = inner
            models["CinCGAN"] = data.train("cincgan", "cincgan-small", "cincgan", *given, "--start-from", inner)
        found = data.measured(models)
        for name, figures in found.items():
            print(f"{name}: " + ", ".join(f"{metric} {value:.4g}" for metric, value in figures.items()), flush=True)
        plain = found["bicubic LR"]
        for name in models:
            if name == "bicubic LR":
                continue
            gains = {metric: found[name][metric] - plain[metric] for metric in METRICS}
            said = f"{name} against what learned of bicubic LR: {gains['psnr-y']:+.2f} dB, SSIM {gains['ssim-y']:+.3f}"
            said += f", LPIPS {gains['lpips-squeeze']:+.3f}"
            better = gains["ssim-y"] > 0 if name.startswith("CinCGAN") else gains["lpips-squeeze"] < 0
            kept &= promise(said, better)
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
