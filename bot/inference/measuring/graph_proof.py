"""Proves whether CUDA graphs pay on this GPU: same bits, and quicker. Done once for a device, driver and torch, and kept."""

from __future__ import annotations

import logging
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

from bot.inference import card_memory
from bot.inference.denoising.graphs import GraphBackend, GraphedUNet, is_plain
from bot.inference.denoising.unet_call import predict
from bot.inference.engine_settings import EngineSettings
from bot.inference.faults import free_memory
from bot.inference.loading.pipelines import LoadedModel
from bot.inference.measuring.machine import measuring_key, timed
from bot.inference.measuring.measurements import GRAPHS, Measurement, Measurements
from bot.inference.measuring.step_probe import random_inputs

WORTH = 1.03  # times as quick as without
ROWS = (2, 1)  # of a call: a picture alone, with guidance and without; of larger ones launching is a smaller share
TRIES = 2  # inputs, so that leftovers of the first would be noticed
PASSES, ROUNDS = 2, 5  # in a round both have their turn, and of the passes the worse counts
CALLS = 4  # at a time, since one alone does not show how far the thread is ahead

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """The result: whether outputs were the same to the last bit, and how many times as quick calls were with graphs."""

    same_bits: bool
    gain: float

    @property
    def holds(self) -> bool:
        return self.same_bits and self.gain >= WORTH


def adopt_graphs(model: LoadedModel, settings: EngineSettings, backend: GraphBackend | None) -> None:
    """Make the engine call graphs instead of the UNet, if the settings, the memory plan and the proof allow it. On the drawing
    thread, before anything is drawn; `backend` None: the device has none.
    """
    unet, has_room = model.text2img.unet, model.plan is None or model.plan.form(card_memory.GRAPHS) != card_memory.EAGER
    if settings.graphs == "off" or backend is None or not has_room or not is_plain(unet):
        return
    graphs = GraphedUNet(unet, backend)
    if settings.graphs == "on" or is_proven(model, graphs, Measurements(settings.measurements)):
        model.graphs = graphs
        return
    graphs.release()
    free_memory()


def is_proven(model: LoadedModel, graphs: GraphedUNet, measurements: Measurements) -> bool:
    """Returns whether graphs are worth their memory: as kept for this device, driver, model and versions, else as measured now,
    for seconds, and kept. If it cannot be measured, it returns False and keeps nothing.
    """
    key = measuring_key(model, mode=GRAPHS)
    proof = _kept(measurements.find(GRAPHS, key))
    if proof is None:
        proof = _measured(model, graphs)
        if proof is None:
            return False
        measurements.keep(GRAPHS, key, {"same_bits": proof.same_bits, "gain": proof.gain})
        logger.info(
            "A step with CUDA graphs is %.2f times as quick as without, %s: they are %s.",
            proof.gain,
            "with the same bits" if proof.same_bits else "but not the same to the last bit",
            "used" if proof.holds else "left out",
        )
    return proof.holds


def _kept(measurement: Measurement | None) -> Proof | None:
    value: Any = None if measurement is None else measurement.value
    match value:
        case {"same_bits": bool(same_bits), "gain": float(gain) | int(gain)}:
            return Proof(same_bits=same_bits, gain=float(gain))
        case _:
            return None


def _measured(model: LoadedModel, graphs: GraphedUNet) -> Proof | None:
    """Returns the proof; None if a graph could not be made, as the log then says."""
    unet, size = model.text2img.unet, model.profile.size(None)
    with torch.no_grad():
        for rows in ROWS:
            tries = [random_inputs(model, rows, width=size.width, height=size.height) for _ in range(TRIES)]
            if not graphs.capture(tries[0]):
                return None
            if not all(torch.equal(predict(graphs, *inputs), predict(unet, *inputs)) for inputs in tries):
                return Proof(same_bits=False, gain=1.0)
        inputs = random_inputs(model, ROWS[0], width=size.width, height=size.height)
        gains = [_gain(model.device, lambda: predict(unet, *inputs), lambda: predict(graphs, *inputs)) for _ in range(PASSES)]
    return Proof(same_bits=True, gain=round(min(gains), 4))


def _gain(device: torch.device, eager: Callable[[], object], graphed: Callable[[], object]) -> float:
    def several(call: Callable[[], object]) -> Callable[[], None]:
        def calls() -> None:
            for _ in range(CALLS):
                call()

        return calls

    one, other = several(eager), several(graphed)
    return statistics.median(timed(device, one) / timed(device, other) for _ in range(ROUNDS))
