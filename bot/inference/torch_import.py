"""Imports torch and its libraries once, off the event loop, and keeps them from writing to the terminal."""

from __future__ import annotations

import logging
import threading

_importing = threading.Lock()  # modules that import one another in a circle may not be imported by two threads at once


def import_libraries() -> None:
    """Import the drawing libraries (seconds), silently. Called on the threads of the generator and of the classifier.

    diffusers and transformers log to stderr past our own logging: bars, advice, and, when a prompt is longer than CLIP's 77
    tokens, the words of the prompt themselves, which no log may contain. Faults reach us as exceptions anyway.
    """
    with _importing:
        from diffusers.utils import logging as diffusers_logging
        from transformers.utils import logging as transformers_logging

        for library in (diffusers_logging, transformers_logging):
            library.set_verbosity(logging.CRITICAL)
            library.disable_progress_bar()
        import bot.inference.session  # noqa: F401 # pyright: ignore[reportUnusedImport] # for its imports
