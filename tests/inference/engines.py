"""The engine without its thread: a test takes the turns itself."""

from __future__ import annotations

import itertools
from concurrent.futures import Executor, Future
from dataclasses import dataclass, field
from typing import Any

from bot.domain.batch_curve import BatchCurve
from bot.domain.fairness import Share
from bot.domain.image import GenerationResult
from bot.domain.profile import ModelSource
from bot.domain.progress import Progress
from bot.domain.request import GenerationRequest
from bot.inference.engine.cancellation import CancelToken
from bot.inference.engine.engine import Engine
from bot.inference.engine.preparation import Preparer
from bot.inference.engine.previews import Judge, Previews
from bot.inference.engine_settings import EngineSettings
from bot.inference.prompts.encoder import PromptEncoder
from bot.inference.session import ModelSession, open_session
from tests.inference.conftest import NEARLY_FREE
from tests.tiny_sdxl import MODEL_REPO, TinyModels, pastel_style, tiny_catalog, tiny_profile


class AtOnce(Executor):
    """Does what is submitted before `submit` returns."""

    def submit(self, fn: Any, /, *args: Any, **kwargs: Any) -> Future[Any]:
        future: Future[Any] = Future()
        try:
            future.set_result(fn(*args, **kwargs))
        except BaseException as error:  # noqa: BLE001  # as an executor does
            future.set_exception(error)
        return future


@dataclass(kw_only=True)
class Ticket:
    """What one request has been told."""

    control: CancelToken
    reports: list[Progress] = field(default_factory=list)
    result: GenerationResult | None = None
    error: BaseException | None = None

    @property
    def ended(self) -> bool:
        return self.result is not None or self.error is not None


class FreePreviews(Previews):
    """They cost nothing, so that no test depends on how busy the machine is."""

    def _clock(self) -> float:
        return 0.0


class Bench:
    """An engine over the tiny model, with a clock that the test sets."""

    def __init__(
        self,
        session: ModelSession,
        *,
        batch: int,
        buckets: tuple[int, ...] = (),
        curve: BatchCurve = NEARLY_FREE,
        judge: Judge | None = None,
    ) -> None:
        self.session = session
        self.now = 0.0
        self._strangers = itertools.count(1_000)
        model = session.model
        self.engine = Engine(
            model,
            session.adapters,
            Preparer(model, PromptEncoder(model.text2img)),
            AtOnce(),
            FreePreviews(model.preview, judge, model.device, AtOnce()),
            batch=batch,
            buckets=buckets,
            clock=lambda: self.now,
        )
        self.engine.curve = curve
        self.catalog = tiny_catalog(model.profile, pastel_style())

    def admit(
        self, request: GenerationRequest, init_image: bytes | None = None, *, member: int | None = None, seconds: float = 3600.0
    ) -> Ticket:
        """A request of a member of its own, unless `member` says whose it is."""
        share = Share(next(self._strangers) if member is None else member)
        reports: list[Progress] = []
        ticket = Ticket(control=CancelToken(reports.append, seconds), reports=reports)

        def answer(result: GenerationResult) -> None:
            assert not ticket.ended
            ticket.result = result

        def fail(error: BaseException) -> None:
            assert not ticket.ended
            ticket.error = error

        self.engine.admit(
            self.session.drawing(request, self.catalog, init_image, ticket.control, share, answer=answer, fail=fail)
        )
        return ticket

    def run(self, most: int = 500) -> int:
        """Take turns until nothing is left; returns how many it took."""
        for turn in range(most):
            if not self.engine.busy:
                return turn
            self.engine.turn()
        raise AssertionError(f"still busy after {most} turns")


def open_tiny_session(models: TinyModels, curve: BatchCurve | None = NEARLY_FREE) -> ModelSession:
    profile = tiny_profile(ModelSource(repo=MODEL_REPO))
    return open_session(profile, EngineSettings(batch=4, curve=curve), device="cpu", cache_dir=models.cache_dir)
