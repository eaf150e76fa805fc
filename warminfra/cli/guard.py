"""The guard: a process between `exec` and its command, so that no descendant outlives `exec`.

    exec ── guard ── CMD ── …

- The guard is a *child subreaper*: whatever below it loses its parent (a daemon too) becomes its
  child, so "I have no children" is the proof that nothing is left.
- It sees `exec` die, by kill -9 too, as the end of their channel. Then it kills all below it.
- CMD has a parent-death signal: should the guard be killed, CMD dies at once. `exec` is a subreaper
  as well, and inherits and kills the rest.
- What CMD leaves running when it ends is killed too: its lease is over, its credentials are dead.

Forked before `exec` has any thread. It ignores the signals that end a group, has a group of its
own, and holds neither the terminal nor the standard streams once CMD runs.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import os
import select
import signal
import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType

from warminfra.cli.processes import descendants
from warminfra.cli.subreaper import become_subreaper, die_with_parent, kill_descendants

PASSED_ON = (
    signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1, signal.SIGUSR2,
    signal.SIGWINCH,
)  # fmt: skip
"""Signals that `exec` passes on to CMD's group."""

_JOB_CONTROL = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


class Guard:
    """`exec`'s end: start, pass signals on, wait."""

    def __init__(self, argv: Sequence[str], environment: Mapping[str, str], litter: Path) -> None:
        """Fork the guard, which starts `argv` at once and removes `litter` if `exec` dies.

        No thread may exist yet. Signals that were ignored stay ignored, for CMD as well.
        """
        become_subreaper()
        # What replaced itself by `exec` may have had children: they are none of ours.
        self._spare = frozenset(descendants(os.getpid()))
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        passed_on = [n for n in PASSED_ON if signal.getsignal(n) is not signal.SIG_IGN]
        self._terminal = os.isatty(0) and os.tcgetpgrp(0) == os.getpgrp()
        self._channel, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # Nothing is delivered in between: a signal is either ours to pass on, or the guard's to
        # ignore, never the end of a half-made pair.
        signal.pthread_sigmask(signal.SIG_BLOCK, passed_on)
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self._channel.close()
                _Watch(theirs, litter).run(argv, environment, passed_on, self._terminal)
            finally:
                os._exit(0)
        theirs.close()
        for number in passed_on:
            signal.signal(number, self._pass_on)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)

    def signal(self, number: int) -> None:
        """Send a signal to CMD's group, if CMD still runs."""
        self._send(f"signal {number}")

    def kill(self) -> None:
        """Kill CMD and all below it."""
        self._send("kill 0")

    def wait(self) -> int:
        """Return CMD's exit code: 128+n for signal n, 126 or 127 if it could not be started.

        Everything below is dead when this returns.
        """
        try:
            while True:
                word, _, value = self._receive().partition(" ")
                if word == "stopped":
                    self._suspend()
                elif word == "ended":
                    status = int(value)
                    code = os.waitstatus_to_exitcode(status)
                    return 128 - code if code < 0 else code
                elif word == "failed":
                    raise OSError(int(value), os.strerror(int(value)))
                else:
                    # The guard was killed: CMD died with it, the rest is ours by now.
                    return 128 + signal.SIGKILL
        finally:
            kill_descendants(self._spare)
            self._take_terminal()

    def _pass_on(self, number: int, _: FrameType | None) -> None:
        self.signal(number)

    def _send(self, message: str) -> None:
        with contextlib.suppress(OSError):  # the guard is gone, and CMD with it
            self._channel.send(message.encode(), socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL)

    def _receive(self) -> str:
        try:
            return self._channel.recv(64).decode()
        except OSError:
            return ""

    def _suspend(self) -> None:
        """CMD was stopped at the terminal (Ctrl-Z): stop as well, go on together with it."""
        if not self._terminal:
            return
        foreground = os.tcgetpgrp(0)
        self._take_terminal()
        os.kill(os.getpid(), signal.SIGSTOP)
        if os.tcgetpgrp(0) == os.getpgrp():
            _give_terminal(foreground)
        self.signal(signal.SIGCONT)

    def _take_terminal(self) -> None:
        if self._terminal:
            _give_terminal(os.getpgrp())


def _give_terminal(group: int) -> None:
    """Make `group` the terminal's foreground group, from the background too."""
    before = signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    with contextlib.suppress(OSError):  # the terminal is gone, or the group
        os.tcsetpgrp(0, group)
    signal.signal(signal.SIGTTOU, before)


class _Watch:
    """The guard's own end. Runs in the forked process and never returns into `exec`'s code."""

    def __init__(self, channel: socket.socket, litter: Path) -> None:
        self._channel = channel
        self._litter = litter
        self._command = 0
        self._status: int | None = None

    def run(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        passed_on: Sequence[signal.Signals],
        terminal: bool,
    ) -> None:
        gc.disable()  # objects of `exec` must not close descriptors that are ours by now
        os.setpgid(0, 0)
        ignored = {*passed_on, *_JOB_CONTROL}
        for number in ignored:
            signal.signal(number, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, passed_on)
        become_subreaper()
        woken, wake = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        failed = self._start(argv, environment, ignored, terminal)
        _let_go(keep={self._channel.fileno(), woken, wake})
        if failed:
            self._end(f"failed {failed}")
        else:
            self._watch(woken)

    def _start(
        self,
        argv: Sequence[str],
        environment: Mapping[str, str],
        ignored: set[signal.Signals],
        terminal: bool,
    ) -> int:
        """Start CMD in a group of its own; return 0, or the errno of its exec."""
        reading, writing = os.pipe2(os.O_CLOEXEC)
        guard = os.getpid()
        self._command = os.fork()
        if self._command == 0:
            try:
                os.setpgid(0, 0)
                if terminal:
                    os.tcsetpgrp(0, os.getpid())  # SIGTTOU is ignored here
                die_with_parent()
                if os.getppid() != guard:  # it died before it was to signal its death
                    os._exit(1)
                signal.set_wakeup_fd(-1)
                for number in (*ignored, signal.SIGCHLD, signal.SIGPIPE, signal.SIGXFSZ):
                    signal.signal(number, signal.SIG_DFL)
                os.execvpe(argv[0], list(argv), dict(environment))  # noqa: S606 - that is the job
            except OSError as error:
                os.write(writing, str(error.errno).encode())
            finally:
                os._exit(1)
        os.close(writing)
        answer = os.read(reading, 16)
        os.close(reading)
        return int(answer or 0)

    def _watch(self, woken: int) -> None:
        poll = select.poll()
        for descriptor in (woken, self._channel.fileno()):
            poll.register(descriptor, select.POLLIN)
        while self._status is None:
            readable = {descriptor for descriptor, _ in poll.poll()}
            if woken in readable:
                with contextlib.suppress(BlockingIOError):
                    os.read(woken, 4096)
                self._reap()
            if self._status is None and self._channel.fileno() in readable:
                self._obey()
        self._end(f"ended {self._status}")

    def _obey(self) -> None:
        try:
            word, _, value = self._channel.recv(64).decode().partition(" ")
        except OSError:
            word, value = "", ""
        if word == "signal":
            # CMD is not reaped yet, so this is its group and nobody else's.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(self._command, int(value))
        else:  # "kill", or the end of the channel: `exec` is dead
            self._status = signal.SIGKILL

    def _reap(self) -> None:
        """Reap CMD and whatever orphans ended; note CMD's end."""
        with contextlib.suppress(ChildProcessError):
            while True:
                pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED)
                if pid == 0:
                    return
                if pid == self._command and os.WIFSTOPPED(status):
                    self._tell("stopped 0")
                elif pid == self._command:
                    self._status = status

    def _end(self, message: str) -> None:
        kill_descendants()
        if not self._tell(message):
            self._litter.unlink(missing_ok=True)

    def _tell(self, message: str) -> bool:
        try:
            self._channel.send(message.encode(), socket.MSG_NOSIGNAL)
        except OSError:
            return False
        return True


def _let_go(keep: set[int]) -> None:
    """Close every descriptor but `keep`: pipes of CMD must end when CMD ends, not with us.

    CMD itself got all that `exec` was given, as if it had been started directly.
    """
    null = os.open(os.devnull, os.O_RDWR)
    for standard in (0, 1, 2):
        os.dup2(null, standard)
    low = 3
    for descriptor in sorted(keep):
        os.closerange(low, descriptor)
        low = descriptor + 1
    os.closerange(low, os.sysconf("SC_OPEN_MAX"))


def cannot_start(error: OSError) -> int:
    """Return the exit code that a shell gives for a command that could not be started."""
    return 127 if error.errno in (errno.ENOENT, errno.ENOTDIR) else 126
