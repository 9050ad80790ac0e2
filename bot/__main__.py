"""The command line: `python -m bot run | demo | draw | doctor | health | backup | restore | bench | train-lora`.

Exit codes: 0 success, 2 wrong usage, 130 interrupted; bot.errors has the others. An operator's fault is one line on stderr and
never a traceback.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

from bot import __version__
from bot.bench import command as bench_command
from bot.errors import FolderError, PastelError, UserError
from bot.settings import Settings, has_desktop
from bot.training.lora import command as lora_command

INTERRUPTED = 130  # 128 + SIGINT, as shells count


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit code."""
    arguments = _parser().parse_args(argv)
    _let_idle_threads_sleep()
    try:
        if arguments.command == "train-lora":  # without an event loop, which would intercept Ctrl-C
            return lora_command.run(arguments)
        if arguments.command in {"backup", "restore"}:  # likewise
            return _keep_safe(arguments)
        if arguments.command == "bench" and arguments.stages:  # likewise: a stage that takes too long is interrupted
            return bench_command.run_stages(arguments)
        return asyncio.run(_COMMANDS[arguments.command](arguments))
    except KeyboardInterrupt:
        return INTERRUPTED
    except UserError as error:
        _say(str(error))
        return 2
    except PermissionError as error:
        if error.filename is None:
            raise
        _say(
            f"{error.filename} may not be opened by this user ({error.strerror}). "
            "Change its owner or its rights, and those of the folders above it."
        )
        return FolderError.exit_code
    except PastelError as error:
        for line in getattr(error, "lines", (str(error),)):
            _say(line)
        return getattr(error, "exit_code", 1)


def _say(line: str) -> None:
    with suppress(OSError):  # stderr is on a full disk: the exit code still reports the fault
        print(f"pastel: {line}", file=sys.stderr)


def _let_idle_threads_sleep() -> None:
    """Tells OpenMP, before torch loads it, to let threads sleep while they wait for one another.

    By default they spin, and where other programs need the cores too, each waits out the other's time slice: a picture of
    the small model on two cores with two other programs took 16 to 31 s, and 2 to 5 s with sleeping. On idle cores sleeping
    costs up to a quarter (1.1 to 1.4 s instead of 0.9 to 1.1).
    """
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # noqa: TID251  # told, not read: libgomp has no other way


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m bot", description="Pastel, a Discord bot that draws anime.")
    parser.add_argument("--version", action="version", version=f"Pastel {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    commands.add_parser("run", help="start the bot (needs DISCORD_TOKEN)")
    demo = commands.add_parser("demo", help="the whole bot on a page of this computer: no token, no network, no GPU")
    demo.add_argument("--port", type=int, default=0, metavar="N", help="port of the page; default: a free one")
    demo.add_argument("--no-browser", action="store_true", help="only print the address")
    draw = commands.add_parser("draw", help="draw one picture through the queue and the generator, without Discord")
    draw.add_argument("prompt", metavar="PROMPT", help="what to draw: tags or words, such as '1girl, green hair, night'")
    draw.add_argument("--out", type=Path, required=True, metavar="FILE", help="where the PNG goes")
    draw.add_argument("--negative-prompt", default="", metavar="TEXT", help="what to leave out")
    draw.add_argument("--size", metavar="NAME", help="a size of the model's profile")
    draw.add_argument(
        "--seed", type=int, metavar="N", help="the same seed with the same words gives the same picture (default: random)"
    )
    draw.add_argument("--quality", metavar="draft|standard|best", help="as in /anime; --steps and --guidance-scale win over it")
    draw.add_argument(
        "--steps", type=int, metavar="N", help="more take longer and may be finer, 1 to 60 (default: the profile's)"
    )
    draw.add_argument(
        "--guidance-scale", type=float, metavar="X", help="how closely to follow the prompt, 1 to 20 (default: the profile's)"
    )
    draw.add_argument("--style", metavar="NAME", help="a style that goes with the model; `doctor` lists them")
    commands.add_parser("doctor", help="check token, database, model, GPU and disk, and say what to do")
    commands.add_parser("health", help="ask the bot that runs here whether it is ready (needs HTTP_PORT)")
    _add_safekeeping(commands)
    bench_command.add_arguments(
        commands.add_parser("bench", help="measure the step engine beside diffusers' own pipeline: table, JSON and plot")
    )
    lora_command.add_arguments(commands.add_parser("train-lora", help="train a style on a folder of captioned pictures"))
    return parser


def _add_safekeeping(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:  # pyright: ignore[reportPrivateUsage]
    backup = commands.add_parser("backup", help="copy the database, checked, also while the bot runs")
    backup.add_argument("file", type=Path, metavar="FILE", help="where the copy goes; must not be there yet")
    backup.add_argument(
        "--pictures",
        action="store_true",
        help="copy the picture files too, into FILE.pictures; those that an earlier backup beside FILE has take no more room",
    )
    restore = commands.add_parser("restore", help="put a backup in the place of the database, which is moved aside")
    restore.add_argument("file", type=Path, metavar="FILE", help="what `backup` made; FILE.pictures comes along where it is")


def _keep_safe(arguments: argparse.Namespace) -> int:
    from bot.backup_commands import run

    return run(arguments)


async def _run(arguments: argparse.Namespace) -> int:
    del arguments
    from bot.bootstrap import run_bot

    await run_bot(Settings.load(need_token=True))
    return 0


async def _demo(arguments: argparse.Namespace) -> int:
    from bot.demo import run_demo

    open_browser = has_desktop() and not arguments.no_browser
    await run_demo(Settings.load(need_token=False), port=arguments.port, open_browser=open_browser)
    return 0


async def _draw(arguments: argparse.Namespace) -> int:
    from bot.domain.request import Draft
    from bot.draw_command import draw_picture

    draft = Draft(
        prompt=arguments.prompt,
        negative_prompt=arguments.negative_prompt,
        size=arguments.size,
        seed=arguments.seed,
        num_inference_steps=arguments.steps,
        guidance_scale=arguments.guidance_scale,
        style=arguments.style,
        quality=arguments.quality,
    )
    await draw_picture(Settings.load(need_token=False), draft, arguments.out)
    return 0


async def _doctor(arguments: argparse.Namespace) -> int:
    del arguments
    from bot.doctor import examine

    return await examine()


async def _health(arguments: argparse.Namespace) -> int:
    del arguments
    from bot.health_check import ask_health

    settings = Settings.load(need_token=False)
    is_ready, said = await asyncio.to_thread(ask_health, settings.http_host, settings.http_port)
    print(said)
    return 0 if is_ready else 1


_COMMANDS = {"run": _run, "demo": _demo, "draw": _draw, "doctor": _doctor, "health": _health, "bench": bench_command.run}


def leave(code: int) -> NoReturn:
    """Ends the process. A thread that is reading weights or in a step cannot be stopped; it must not delay the exit, and the
    interpreter must not be finalized under it. Where output cannot be flushed (a full disk), `code` is kept: Python itself
    would end with 120.
    """
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
    if threading.active_count() > 1:
        os._exit(code)
    sys.exit(code)


if __name__ == "__main__":
    leave(main())
