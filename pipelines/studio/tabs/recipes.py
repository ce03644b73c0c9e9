"""The tab Recipes: the keys of a degradation beside samples of it, drawn anew while they are turned."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

from nicegui import events, ui

from ....degrade.config import compose
from ....degrade.errors import UserError
from ....degrade.recipes import PRESETS
from ....degrade.recipes.store_config import StoreConfig
from ..form import Form
from ..work import Newest, quickly, told
from . import drafting
from .common import Desk, LineChart, fail, piece, plain, saved_upload

if TYPE_CHECKING:
    from ..server import Studio

_ELSEWHERE = ("recipe.kind", "num_samples", "grown_from", "seed", "shard_mib", "weigh")
_FIRST, _HR_PX = "real-esrgan", 192


def draw(studio: "Studio") -> None:
    """The tab, for one visitor."""
    _Tab(studio)


class _Tab:
    """A recipe, photographs, and samples of both."""

    def __init__(self, studio: "Studio") -> None:
        self.studio = studio
        self.config: StoreConfig = compose(drafting.preset(_FIRST), hr_size_px=_HR_PX)
        self.folder: drafting.Folder | None = None
        self._newest = Newest(self._show)
        with ui.element("div").classes("rwsr-two rwsr-wide"):
            with ui.column().classes("w-full gap-2"):
                self._draw_left()
            with ui.column().classes("w-full gap-2"):
                self._draw_right()
        first = studio.folders()
        if studio.banks:
            self.bank.value = str(studio.banks[0])
        if first:
            self.photographs.value = str(first[0])
            ui.timer(0.05, self.look, once=True)

    def _draw_left(self) -> None:
        presets = {name: f"{name}: {preset.about}" for name, preset in PRESETS.items()}
        chosen = ui.select(presets, value=_FIRST, label="Preset", on_change=lambda e: self.choose(e.value))
        chosen.classes("w-full at-preset").props("dense")
        self.photographs = ui.input("Folder of photographs").classes("w-full at-folder").props("dense")
        self.photographs.on("keydown.enter", self.look)
        self.bank = ui.input("Noise bank, where the recipe takes one").classes("w-full at-bank").props("dense")
        self.bank.on("keydown.enter", self.show)
        for box in (self.photographs, self.bank):
            box.set_enabled(self.studio.at_home)
        upload = ui.upload(label="options of another trainer, or a config", auto_upload=True, on_upload=self._imported)
        upload.classes("w-full at-import").props("flat bordered dense")
        with ui.row().classes("w-full no-wrap gap-2"):
            self.count = ui.number("samples to look at", value=3, min=1, max=drafting.MOST_SAMPLES, step=1)
            self.seed = ui.number("seed", value=0, min=0, step=1)
            for box in (self.count, self.seed):
                box.classes("grow").props("dense debounce=300").on_value_change(self.show)
        self.form = Form(self.config, self._changed, _ELSEWHERE)

    def _draw_right(self) -> None:
        with ui.row().classes("items-center gap-2"):
            ui.button("Draw others", icon="casino", on_click=self._others).props("outline dense").classes("at-others")
            ui.button("Save as YAML", icon="save", on_click=self.save).props("outline dense").classes("at-save")
            self.name = ui.input("name", value="recipe").props("dense").classes("w-32 at-name")
            ui.button("Build", icon="construction", on_click=self.build).props("outline dense").classes("at-build")
            self.amount = ui.number("samples", value=1000, min=1, step=1).props("dense").classes("w-28 at-amount")
        self.made = Desk(ui.column().classes("w-full gap-1 at-made"))
        self.line = ui.label("name a folder of photographs").classes("text-sm at-line")
        self.samples = ui.column().classes("w-full gap-3 at-samples")
        with ui.column().classes("w-full at-spectra"):
            self.chart = LineChart()

    # ---------------------------------------------------------------------------------------------- what it is made of

    async def choose(self, name: str) -> None:
        """Another preset, with all of its numbers."""
        self.config = compose(drafting.preset(name), hr_size_px=self._fitting(drafting.preset(name)))
        self.form.show(self.config)
        await self.show()

    @staticmethod
    def _fitting(config: StoreConfig) -> int:
        """HR of a size to look at."""
        return max(_HR_PX - _HR_PX % config.recipe.scale, 16 * config.recipe.scale)

    async def _changed(self, config: Any) -> None:
        self.config = config
        await self.show()

    async def _imported(self, event: events.UploadEventArguments) -> None:
        path = await saved_upload(event, self.studio.out)
        try:
            self.config, notes = await quickly(lambda: drafting.imported(path))
        except Exception as error:
            fail(told(error))
            return
        self.form.show(self.config)
        ui.notify(f"took {path.name}", type="positive")
        for note in notes[:5]:
            ui.notify(note, type="warning", multi_line=True, timeout=10_000)
        await self.show()

    async def look(self) -> None:
        """Take the photographs of the folder that is named."""
        text = (self.photographs.value or "").strip()
        if not text:
            fail("name a folder of photographs")
            return
        folder = Path(text).expanduser()
        try:
            self.folder = await quickly(lambda: drafting.look_at(folder, self.studio.scratch / "recipes.index.parquet"))
        except Exception as error:
            fail(told(error))
            return
        await self.show()

    async def _others(self) -> None:
        self.seed.value = int(self.seed.value or 0) + 1

    # --------------------------------------------------------------------------------------------------- the samples

    async def show(self) -> None:
        """Draw the samples; while some are drawn, the newest order waits."""
        await self._newest()

    async def _show(self) -> None:
        if self.folder is None:
            return
        folder, count, bank = self.folder, int(self.count.value or 1), self._bank()
        config = compose(self.config, seed=int(self.seed.value or 0))
        try:
            found = await quickly(lambda: drafting.drawn(config, folder, count, bank))
            frequency, powers = await quickly(lambda: drafting.spectra(found))
        except Exception as error:
            self.line.set_text(told(error))
            return
        self.line.set_text(f"{len(found)} samples of {len(folder.rows)} photographs, seed {config.seed}")
        self.samples.clear()
        with self.samples:
            for each in found:
                self._sample(each)
        self.chart.show("power over frequency (mean of the samples), dB", "cycles per pixel", frequency, powers)

    def _bank(self) -> Path | None:
        told = (self.bank.value or "").strip()
        return Path(told) if told else None

    @staticmethod
    def _sample(sample: drafting.Sample) -> None:
        said = f"{sample.source}" + (f" · out of order: {', '.join(sample.disorder)}" if sample.disorder else "")
        with ui.card().classes("w-full p-2 gap-1 at-sample"):
            ui.label(said).classes("text-xs opacity-70")
            with ui.element("div").classes("rwsr-members w-full"):
                for name, pixels, lines in (
                    ("HR", sample.hr, ()),
                    *((each.name, each.pixels, each.lines) for each in sample.members),
                ):
                    with ui.column().classes("gap-0 w-full"):
                        piece(pixels)
                        ui.label(name).classes("text-sm font-medium")
                        for line in lines:
                            ui.label(line).classes("text-xs at-step")

    # ---------------------------------------------------------------------------------------------------- what is kept

    def _wanted(self) -> StoreConfig | None:
        """What is saved and built; None where a key or the number of samples is wrong, which is told."""
        wrong = self.form.wrong.text or ("" if self.amount.value else "say how many samples")
        if not wrong:
            try:
                seed = int(self.seed.value or 0)
                return compose(self.config, num_samples=int(self.amount.value or 0), seed=seed)
            except UserError as error:
                wrong = str(error)
        fail(wrong)
        return None

    async def save(self) -> None:
        """Write the recipe as a file, and say what builds its store."""
        config = self._wanted()
        if config is None or not self.made.is_free:
            return
        folder = None if self.folder is None else self.folder.folder
        try:
            name, out = plain(self.name.value, "recipe"), self.studio.out
            path, command = await quickly(lambda: drafting.saved(config, folder, name, out))
        except Exception as error:
            fail(told(error))
            return
        self.made.command(command)
        self.made.say(f"wrote {path}", "text-xs at-wrote")

    async def build(self) -> None:
        """Build the store of it, with its progress."""
        if self.folder is None:
            fail("name a folder of photographs first")
            return
        config = self._wanted()
        if config is None:
            return
        folder, bank = Path(str(self.folder.folder)), self._bank() if config.recipe.wants_bank else None
        at = self.studio.out / "stores" / f"{plain(self.name.value, 'recipe')}.zarr"
        at.parent.mkdir(parents=True, exist_ok=True)
        found = await self.made.work("build", lambda: drafting.built(config, folder, bank, at))
        for line in found.lines if found is not None else ():
            self.made.say(line, "text-xs at-built")
