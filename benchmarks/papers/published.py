"""Real-ESRGAN's x4plus and RealSR's DF2K model by their published weights: measured, compared, and fine-tuned.

    python benchmarks/papers/published.py DATA [WORK] [--steps N]

    DATA    a folder with weights/sr (realesrgan-x4plus and RealSR_DF2K_x4, ncnn's .param and .bin, and
            RealESRGAN_General_x4_v3), test/Set5, test/Set14, test/Set5_LR_bicubic_x4, test/RealSRSet,
            test/DIV2K_test_LR_x4_sample and train/bsds500_train

1. Against ncnn itself (pip install ncnn), on the LR of Set5, fp32 arithmetic: no pixel differs by more than one level.
2. Set5 and Set14 (x4), and without reference RealSRSet: a report, and report.html of it.
3. x4plus fine-tuned by HR-aware's small preset on DIV2K_test_LR_x4_sample, 20 real LR images, from the command.

WORK is kept when named, and a second run goes on in it. RWSR_WEIGHTS must hold SqueezeNet and LPIPS-squeeze, as
DATA/weights does. On two cores about an hour; exits 1 when a promise is not kept.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1]))

from commands import promise, rwsr

from rwsr.degrade.images.decode import decode
from rwsr.eval.report import table

MODELS = ("realesrgan-x4plus", "RealSR_DF2K_x4")


def by_ncnn(model: Path, image: np.ndarray) -> np.ndarray:
    """[h, w, 3] uint8 -> [4h, 4w, 3] uint8, by ncnn on the CPU in fp32."""
    import ncnn  # pyright: ignore

    net = ncnn.Net()
    net.opt.use_vulkan_compute = False
    for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
        setattr(net.opt, name, False)
    net.load_param(str(model.with_suffix(".param")))
    net.load_model(str(model.with_suffix(".bin")))
    planes = np.ascontiguousarray((image.astype(np.float32) / 255).transpose(2, 0, 1))
    extractor = net.create_extractor()
    extractor.input("data", ncnn.Mat(planes).clone())
    _, out = extractor.extract("output")
    return np.rint(np.clip(np.array(out).transpose(1, 2, 0), 0, 1) * 255).astype(np.uint8)


def compare(data: Path, work: Path) -> bool:
    """How far what rwsr restores is from what ncnn makes of the same images."""
    kept = True
    for name in MODELS:
        model = data / "weights/sr" / f"{name}.param"
        rwsr("restore", data / "test/Set5_LR_bicubic_x4", "--model", model, "--out", work / name, "--tile", 0)
        most, differing = 0, []
        for path in sorted((data / "test/Set5_LR_bicubic_x4").iterdir()):
            ours = decode((work / name / f"{path.stem}.png").read_bytes()).pixels.astype(int)
            apart = np.abs(ours - by_ncnn(model, decode(path.read_bytes()).pixels))
            most, differing = max(most, int(apart.max())), [*differing, float((apart > 0).mean())]
        share = float(np.mean(differing))
        kept &= promise(f"{name}: {most} level at most from ncnn's, {share:.4%} of the values differ", most <= 1)
    return kept


def measure(data: Path, work: Path, extra: list[tuple[str, Path]]) -> None:
    """Both models, and others, on Set5, Set14 and RealSRSet; the page of all of it."""
    metrics = work / "metrics.parquet"
    named = [(name, data / "weights/sr" / f"{name}.param") for name in MODELS] + extra
    models = [part for name, path in named for part in ("--model", f"{name}={path}")]
    for folder in ("Set5", "Set14"):
        rwsr("eval", "restoration", "--hr", data / "test" / folder, "--scale", 4, *models, "--out", metrics)
    real = data / "test/RealSRSet"
    rwsr("eval", "restoration", "--lr", real, "--scale", 4, *models, "--metric", "niqe", "--out", metrics)
    rwsr("report", "--metrics", metrics, "--out", work / "report.html")
    rows = table.read(metrics)
    for data_name, model, metric in dict.fromkeys((row.data, row.model, row.metric) for row in rows):
        of = [row.value for row in rows if (row.data, row.model, row.metric) == (data_name, model, metric)]
        print(f"{data_name}: {model}: {metric} {np.nanmean(of):.4f} over {len(of)} images")


def fine_tune(data: Path, work: Path, steps: int) -> Path:
    """x4plus by HR-aware's small preset on real LR images, through networks that learn from photographs first."""
    photographs, model = data / "train/bsds500_train", data / "weights/sr/realesrgan-x4plus.param"
    pairs, reconstruction = work / "second.zarr", work / "reconstruction"
    rwsr("degrade", "build", "--preset", "real-esrgan-nousm", "--source", photographs, "--out", pairs, "--samples", 400,
         "--hr-size", 256)  # fmt: skip
    rwsr("train", "hr-aware-pretrain", "--preset", "hr-aware-pretrain-small", "--store", pairs, "--out", reconstruction)
    rwsr("train", "hr-aware", "--preset", "hr-aware-small", "--model", model, "--lr-images",
         data / "test/DIV2K_test_LR_x4_sample", "--reconstruction", reconstruction, "--out", work / "adapted",
         "--steps", steps)  # fmt: skip
    return work / "adapted"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("work", type=Path, nargs="?")
    parser.add_argument("--steps", type=int, default=60)
    told = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = told.work or Path(folder)
        work.mkdir(parents=True, exist_ok=True)
        kept = compare(told.data, work)
        adapted = fine_tune(told.data, work, told.steps)
        measure(told.data, work, [("x4plus-adapted", adapted)])
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    main()
