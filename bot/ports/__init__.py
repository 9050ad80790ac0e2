"""Ports: the interfaces that services use and adapters implement. Services know nothing else of adapters.

All coroutines run on the event loop and do not block it. Times are UTC and aware. Import from here, not
from the modules below.
"""

from bot.ports.delivery import FirstAnswer, Messenger, MessengerError, Outbox
from bot.ports.jobs import Ahead, JobRepository, Recovery, Submission, Waiting
from bot.ports.pictures import ImageCodec, ImageGenerator, ImageStore, OnProgress, PictureClassifier, UnknownKeys
from bot.ports.surroundings import Clock, LimitsSource, MetaRepository

__all__ = [
    "Ahead",
    "Clock",
    "FirstAnswer",
    "ImageCodec",
    "ImageGenerator",
    "ImageStore",
    "JobRepository",
    "LimitsSource",
    "Messenger",
    "MessengerError",
    "MetaRepository",
    "OnProgress",
    "Outbox",
    "PictureClassifier",
    "Recovery",
    "Submission",
    "UnknownKeys",
    "Waiting",
]
