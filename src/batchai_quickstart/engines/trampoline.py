"""Starting a command under a few lines of sh, and the records that sh leaves on disk.

For a command `main` started in directory `d`, two files say everything, whoever asks and whenever:

- `d/main.pid`: pid of the sh, boot id, its line of /proc/PID/stat (empty where there is no /proc),
  the run's mark; one a line;
- `d/main.exit`: created by the sh before the command starts, only if it did not exist: whoever
  creates it owns the command's fate. The sh writes the exit status into it; an adopter that gets
  there first writes NEVER, and the command never runs.
"""

import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from batchai_quickstart.engines.base import MARK, Launch
from batchai_quickstart.errors import ServiceError

NEVER = "never"

# The sh stays the leader of the command's session and survives the signals that end the command,
# so the status is written whatever happened; `trap :` and not `trap ''`, because ignored signals
# would be inherited. A SIGTERM that comes before the command has begun is remembered. The words of
# the sh itself ("Killed") go nowhere: descriptor 3 is the command's stderr. The job's variables are
# not touched: positional parameters, and two names nobody else has.
SCRIPT = f"""\
trap : HUP INT QUIT USR1 USR2 ALRM PIPE
__batchai_stop=
trap '__batchai_stop=1' TERM
exec 3>&2 2>/dev/null
IFS= read -r __batchai_stat </proc/$$/stat
printf '%s\\n' "$$" "$2" "$__batchai_stat" "${{{MARK}-}}" >"$1.pid"
set -C
exec 4>"$1.exit" || exit 125
set +C
(
  exec 4>&-
  [ -z "$__batchai_stop" ] || exit 143
  cd -- "$3" || {{ echo "cannot enter the working directory $3" >&3; exit 126; }}
  unset OLDPWD
  shift 3
  exec "$@" 2>&3 3>&-
)
set -- $?
echo "$1" >&4
exit "$1"
"""

_APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND
_STDIN = (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0)
_SHELL_NAME = re.compile(r"[A-Za-z_][A-Za-z_0-9]*").fullmatch


@cache
def boot_id() -> str:
    """What tells this boot of the machine from others; `-` where the kernel does not say."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip()
    except OSError:
        return "-"


@cache
def _ignored_signals() -> tuple[int, ...]:
    """Signals this process ignores, which its children would inherit.

    Python ignores SIGPIPE and SIGXFSZ, nohup SIGHUP. Handled ones are reset by the kernel, and
    each one named costs a system call while the service stands still for the new process.
    """
    return tuple(
        number for number in signal.valid_signals() if signal.getsignal(number) is signal.SIG_IGN
    )


def spawn(command: Launch, record: str, environ: Mapping[str, str]) -> int:
    """Start `command` in a session of its own; its output goes by the kernel into its files.

    Arguments:
        command: what to start; its `env` is not looked at.
        record: path of the command's records, without suffix.
        environ: the whole environment of the command.

    Returns:
        The pid of its sh, which is its session and process group too.

    Raises:
        ServiceError: nothing was started; the message says why.
    """
    for name in environ:
        if not _SHELL_NAME(name):
            raise ServiceError(
                f"Cannot start {command.name!r}: {name!r} cannot be the name of an environment "
                "variable; use letters, digits and underscores, no digit first."
            )
    argv = ["sh", "-c", SCRIPT, "batchai", record, boot_id(), command.cwd, *command.argv]
    actions = (
        _STDIN,
        (os.POSIX_SPAWN_OPEN, 1, command.stdout, _APPEND, 0o666),
        (os.POSIX_SPAWN_OPEN, 2, command.stderr, _APPEND, 0o666),
    )
    try:
        return os.posix_spawn(
            "/bin/sh",
            argv,
            environ,
            file_actions=actions,
            setsid=True,
            setsigmask=(),
            setsigdef=_ignored_signals(),
        )
    except (OSError, ValueError) as error:
        raise ServiceError(_why_not(command, error)) from error


def _why_not(command: Launch, error: OSError | ValueError) -> str:
    """The reason of a failed spawn: the error itself does not tell which file it speaks of."""
    if isinstance(error, ValueError):
        return f"Cannot start {command.name!r}: {error} (in an argument, a path or a variable)."
    for path in (command.stdout, command.stderr):
        try:
            os.close(os.open(path, _APPEND | os.O_CLOEXEC, 0o666))
        except OSError as refusal:
            return f"Cannot start {command.name!r}: cannot write {path}: {refusal.strerror}."
    return f"Cannot start {command.name!r} with /bin/sh: {error.strerror}."


@dataclass(frozen=True, slots=True)
class Trace:
    """What a started command left about itself.

    Arguments:
        pid: its sh's pid.
        boot: the boot of the machine it ran in.
        start: start time of the sh in clock ticks since boot; None where there is no /proc.
        mark: its run's mark; empty when it has none.
        written: when this was written, seconds since the epoch.
    """

    pid: int
    boot: str
    start: int | None
    mark: str
    written: float


def read_trace(record: str) -> Trace | None:
    """Read `record`.pid; None while it is not there or not complete."""
    try:
        with Path(record + ".pid").open(encoding="utf-8") as file:
            lines = file.read().split("\n")
            written = os.fstat(file.fileno()).st_mtime
    except FileNotFoundError:
        return None
    if len(lines) < 5 or not lines[0].isdecimal():
        return None
    pid, boot, stat, mark = lines[:4]
    start = int(stat.rpartition(")")[2].split()[19]) if stat else None
    return Trace(int(pid), boot, start, mark, written)


def read_status(record: str) -> int | None:
    """The exit status in `record`.exit; None until the line is complete."""
    try:
        text = Path(record + ".exit").read_text("ascii")
    except FileNotFoundError:
        return None
    line, newline, _ = text.partition("\n")
    return int(line) if newline and line.isdecimal() else None


def claim(record: str) -> bool:
    """Forbid a command that has not started to start at all.

    Returns:
        True when it never ran and now never will; False when it was started.
    """
    path = Path(record + ".exit")
    with suppress(FileExistsError):
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666)
        with os.fdopen(descriptor, "w") as file:
            file.write(NEVER + "\n")
        return True
    # Whoever started wrote its .pid before it created .exit.
    return path.read_text("ascii").startswith(NEVER) or read_trace(record) is None
