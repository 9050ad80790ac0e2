"""Measures whole pictures: diffusers' own pipeline and the engine alone by turns, then the engine with several members."""

from __future__ import annotations

import asyncio
import io
import time
from collections.abc import Awaitable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from PIL import Image

from bot.bench.contestants import Contestant, EngineContestant, StockContestant
from bot.bench.figures import median, percentile
from bot.bench.probes import resident_bytes
from bot.bench.serving import closed_loop
from bot.bench.stages.course import LateError
from bot.bench.workload import Workload
from bot.domain.fairness import Share
from bot.inference.engine_settings import EngineSettings
from bot.inference.generator import DiffusersGenerator
from bot.ports import ImageGenerator

if TYPE_CHECKING:
    from bot.bench.torch_side.stages.engine_stages import EngineStages
    from bot.bench.torch_side.stages.stopwatch import Stopwatch
    from bot.bench.torch_side.stages.unet_stages import UnetStages
    from bot.inference.loading.pipelines import LoadedModel

GIB = 1024**3
Line = dict[str, Any]
Value = TypeVar("Value")
Mode = Literal["eager", "graphs", "compiled"]


@dataclass(frozen=True, slots=True, kw_only=True)
class PictureSetting:
    """The setting. `members` are how many ask at once, one measurement each; with `waves` each of them asks that often. `turns`
    are those of stock and engine alone. `engine` is how the bot would be set.
    """

    workload: Workload
    members: Sequence[int]
    waves: int
    turns: int
    engine: EngineSettings


class PictureStages:
    """Stages in which the stock pipeline draws on a thread of its own, the engine on its own; never both at once."""

    def __init__(
        self, model: LoadedModel, stopwatch: Stopwatch, setting: PictureSetting, unet: UnetStages, engine: EngineStages
    ) -> None:
        self._model = model
        self._stopwatch = stopwatch
        self._setting = setting
        self._unet = unet
        self._engine = engine
        self._alone: float | None = None  # the engine's seconds for a picture

    def alone(self, room: float) -> Iterator[Line]:
        """Yields seconds to a picture, and whether both draw the same; then the share of decoding."""
        from bot.bench.torch_side.stock import StockPipeline

        thread = ThreadPoolExecutor(1, thread_name_prefix="pastel-bench")
        stock = StockPipeline(self._model)
        with _Timed(room) as timed, timed.opened(self._generator("eager")) as generator:
            try:
                lanes: dict[str, Contestant] = {
                    "stock": StockContestant(stock.draw, thread),
                    "engine": EngineContestant(generator),
                }
                seconds: dict[str, list[float]] = {name: [] for name in lanes}
                for turn in range(self._setting.turns + 1):
                    for name, lane in lanes.items():
                        requests = self._setting.workload.requests(1, seed=900 + turn)
                        run = timed.run(closed_loop(lane, requests, members=1))
                        if turn:  # the first one warms up
                            seconds[name].append(run.seconds)
                            yield {"lane": name, "seconds": round(run.seconds, 3), "cpu_seconds": round(run.cpu_seconds, 3)}
                self._alone = median(seconds["engine"])
                yield {"same_picture": timed.run(self._same_picture(stock, thread, generator))}
            finally:
                thread.shutdown()
        decode = self._engine.decode_seconds
        share = None if decode is None else round(decode / self._alone, 3)
        ratio = median(seconds["stock"]) / self._alone
        yield {"engine_to_stock": round(ratio, 3), "decode_share": share}

    def company(self, room: float) -> Iterator[Line]:
        """Yields the engine's figures with several members in a closed loop."""
        yield from self._in_company(room, self._setting.members, "eager")

    def graphed_company(self, room: float) -> Iterator[Line]:
        """Yields the same with GRAPHS=on."""
        yield from self._in_company(room, self._setting.members, "graphs")

    def compiled_company(self, room: float) -> Iterator[Line]:
        """Yields the same with COMPILE=true, which changes the model for good: nothing may run on it afterwards."""
        yield from self._in_company(room, self._setting.members, "compiled")

    def _in_company(self, room: float, members: Sequence[int], mode: Mode) -> Iterator[Line]:
        began = time.monotonic()
        with _Timed(room) as timed, timed.opened(self._generator(mode)) as generator:
            opened = time.monotonic() - began
            yield {"opened_s": round(opened, 1), "batch": generator.batch, "mode": mode}
            lane = EngineContestant(generator)
            for count in members:
                self._stopwatch.peak_gib()
                requests = self._setting.workload.requests(max(2, count * self._setting.waves), seed=count)
                run = timed.run(closed_loop(lane, requests, members=count))
                decode = self._engine.decode_seconds
                yield {
                    "mode": mode,
                    "members": count,
                    "pictures": len(requests),
                    "pictures_s": round(run.pictures_per_second, 4),
                    "p50_s": round(percentile(run.latencies, 0.5), 3),
                    "p95_s": round(percentile(run.latencies, 0.95), 3),
                    "cpu_seconds": round(run.cpu_seconds_per_picture, 3),
                    "decode_share": None if decode is None else round(decode * run.pictures_per_second, 3),
                    "peak_gib": self._stopwatch.peak_gib(),
                    "resident_gib": round(resident_bytes() / GIB, 2),
                }

    def _generator(self, mode: Mode) -> DiffusersGenerator:
        """Returns a generator as the bot makes it, with the curve that the stage before measured."""
        from dataclasses import replace

        from bot.bench.torch_side.shared import shared_generator

        settings = replace(
            self._setting.engine,
            curve=self._unet.curve(),
            measurements=None,
            compile_cache=self._setting.engine.compile_cache if mode == "compiled" else None,
            graphs="on" if mode == "graphs" else "off",
        )
        return shared_generator(self._model, settings)

    async def _same_picture(self, stock: Any, thread: ThreadPoolExecutor, generator: ImageGenerator) -> bool:
        """Returns whether both draw the same picture, to the last bit of every pixel."""
        [request] = self._setting.workload.requests(1, seed=990)
        [expected] = await asyncio.get_running_loop().run_in_executor(thread, stock.draw, [request])
        result = await generator.generate(request, init_image=None, share=Share(1), on_progress=lambda _: None)
        with Image.open(io.BytesIO(result.images[0].data)) as drawn:
            return drawn.convert("RGB").tobytes() == expected.convert("RGB").tobytes()


class _Timed:
    """An event loop that is used in parts and raises LateError when `room` seconds are over."""

    def __init__(self, room: float) -> None:
        self._ends = time.monotonic() + room
        self._runner = asyncio.Runner()

    def __enter__(self) -> _Timed:
        return self

    def __exit__(self, *error: object) -> None:
        self._runner.close()

    def run(self, work: Coroutine[Any, Any, Value]) -> Value:
        try:
            return self._runner.run(_within(work, self._ends - time.monotonic()))
        except TimeoutError:
            raise LateError from None

    def opened(self, generator: DiffusersGenerator) -> _Opened:
        """Opens a block with the loaded generator, and closes it at the end."""
        return _Opened(self, self._runner, generator)


class _Opened:
    def __init__(self, timed: _Timed, runner: asyncio.Runner, generator: DiffusersGenerator) -> None:
        self._timed = timed
        self._runner = runner
        self._generator = generator

    def __enter__(self) -> DiffusersGenerator:
        try:
            self._timed.run(self._generator.load())
        except BaseException:
            self.__exit__()
            raise
        return self._generator

    def __exit__(self, *error: object) -> None:
        self._runner.run(self._generator.close())  # out of time or not: the next stage needs the model


async def _within(work: Awaitable[Value], seconds: float) -> Value:
    async with asyncio.timeout(max(0.0, seconds)):
        return await work
