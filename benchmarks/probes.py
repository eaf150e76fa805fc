"""Looks at processes and at the machine by /proc: CPU seconds, memory, what it is, what goes on."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")
MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Memory:
    """MiB of one or more processes; `pss` shares out what is shared."""

    rss: float
    pss: float


def cpu_seconds(*pids: int) -> float:
    """Return user and system time that the processes have used, with what they have waited for."""
    total = 0
    for pid in pids:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        total += sum(int(ticks) for ticks in fields[11:15])
    return total / _TICK


def memory(*pids: int) -> Memory:
    """Return resident and proportional memory of the processes together."""
    found = {"Rss": 0, "Pss": 0}
    for pid in pids:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            name, _, rest = line.partition(":")
            if name in found:
                found[name] += int(rest.split()[0])
    return Memory(found["Rss"] / 1024, found["Pss"] / 1024)


def load() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def machine() -> dict[str, str]:
    """Return what was measured on, without a name of the machine."""
    cpus = [
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    ]
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return {
        "cpu": f"{len(cpus) or os.cpu_count()} × {cpus[0] if cpus else platform.machine()}",
        "memory": f"{ram:.0f} GiB",
        "kernel": platform.release(),
        "system": _system(),
        "python": platform.python_version(),
    }


def _system() -> str:
    for line in Path("/etc/os-release").read_text().splitlines():
        if line.startswith("PRETTY_NAME="):
            return line.partition("=")[2].strip('"')
    return platform.system()
