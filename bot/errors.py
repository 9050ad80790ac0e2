"""The errors that Pastel raises on purpose, and who may read them.

    PastelError
    ├── UserError                 a sentence for a member, in their language; ephemeral, never logged above INFO
    │   ├── InvalidRequestError   a value that the member gave is out of range, unknown or empty
    │   ├── NotFoundError         the job or picture is gone, or never was
    │   ├── NotAllowedError       the member may not do this here
    │   ├── QuotaError            the member has not enough credits left, or too many jobs waiting
    │   └── GenerationError       the pictures could not be made; `retryable` says whether another attempt may help
    ├── OperatorError             one line for the operator; ends the process with `exit_code`
    │   ├── SettingsError         one or more settings are wrong; `problems` has a line each       (78)
    │   ├── TokenError            Discord refuses the token                                        (77)
    │   ├── FolderError           a folder or file cannot be read, written, or is in use           (73)
    │   │   └── DiskFullError     there is no room left for it; members are told so
    │   ├── DatabaseError         the database is damaged or newer than this program               (65)
    │   ├── ModelError            profile unknown, weights missing or damaged                      (66)
    │   ├── NetworkError          Discord cannot be reached                                        (69)
    │   ├── TryLaterError         Discord wants a new start, now or later                          (75)
    │   ├── OutdatedError         Discord no longer takes what this version says                   (76)
    │   └── GeneratorDeadError    the GPU context is lost; a supervisor should start us again      (70)
    └── MessengerError            Discord refused or lost a message; `fault` says what it means for delivery
                                  (defined in bot.ports, caught by the delivery service, never shown)

Exit codes follow sysexits.h where one fits. Everything that is not a PastelError is a bug: it is logged once with an id,
and the member sees one generic line with that id.
"""

from __future__ import annotations

from typing import ClassVar

from bot.messages import Message, message


class PastelError(Exception):
    """Root of every error that Pastel raises on purpose."""


class UserError(PastelError):
    """A sentence for a member: what is wrong and what to do about it. It is rendered in the member's language.

    >>> raise InvalidRequestError("Ask for {limit} pictures or fewer.", limit=4)
    """

    def __init__(self, sentence: str | Message, /, **values: str | int | float | Message) -> None:
        self.sentence = sentence if isinstance(sentence, Message) else message(sentence, **values)
        super().__init__(str(self.sentence))


class InvalidRequestError(UserError):
    """A value that the member gave is out of range, unknown or empty."""


class NotFoundError(UserError):
    """The job or picture is gone, or never was."""


class NotAllowedError(UserError):
    """The member may not do this here."""


class QuotaError(UserError):
    """The member has not enough credits left, or too many jobs waiting."""


class GenerationError(UserError):
    """The pictures could not be made.

    `retryable` is False where another attempt on the same machine must end the same way (a LoRA in an unsupported
    format, a request that does not fit into memory).
    """

    def __init__(self, sentence: str | Message, /, *, retryable: bool = True, **values: str | int | float | Message) -> None:
        super().__init__(sentence, **values)
        self.retryable = retryable


class OperatorError(PastelError):
    """One line for the operator; the process ends with `exit_code`."""

    exit_code: ClassVar[int] = 1

    @property
    def lines(self) -> tuple[str, ...]:
        """Return the lines for stderr, one problem a line."""
        return tuple(str(line) for line in self.args) or (str(self),)


class SettingsError(OperatorError):
    """Settings are wrong; lists all problems at once."""

    exit_code = 78

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems

    @property
    def lines(self) -> tuple[str, ...]:
        return self.problems


class TokenError(OperatorError):
    """Discord refuses the token."""

    exit_code = 77


class FolderError(OperatorError):
    """A folder or file cannot be read or written, or another Pastel uses it."""

    exit_code = 73


class DiskFullError(FolderError):
    """A file no longer fits on its disk. Everything accepted before is on it."""


class DatabaseError(OperatorError):
    """The database is damaged, or was written by a newer Pastel."""

    exit_code = 65


class ModelError(OperatorError):
    """The profile is unknown, or its weights are missing or damaged; one line a problem."""

    exit_code = 66

    def __init__(self, *problems: str) -> None:
        super().__init__("; ".join(problems))
        self.problems = problems

    @property
    def lines(self) -> tuple[str, ...]:
        return self.problems


class NetworkError(OperatorError):
    """Discord cannot be reached."""

    exit_code = 69


class TryLaterError(OperatorError):
    """Discord refuses this process, but will accept a new one, now or later."""

    exit_code = 75


class OutdatedError(OperatorError):
    """Discord refuses how this version connects; only an update helps."""

    exit_code = 76


class GeneratorDeadError(OperatorError):
    """The GPU context is lost; only a new process helps. The queue is on disk, so nothing is lost."""

    exit_code = 70
