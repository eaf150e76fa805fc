"""The smallest program that waits for ever: what a pin runs, whatever its image holds.

An image may have no program at all, or none that only waits. So a pin brings its own: a static
Linux executable of one system call in a loop, a few hundred bytes, put into the container.
"""

from __future__ import annotations

import io
import struct
import tarfile

from warminfra.core.errors import EngineRefused

NAME = ".warminfra-pause"

_BASE = 0x400000
_X86_64, _AARCH64 = 62, 183
_CODE = {
    # mov eax, 34 (pause); syscall; jmp to the beginning
    "linux/amd64": (_X86_64, bytes.fromhex("b8220000000f05ebf7")),
    # mov x8, 73 (ppoll); mov x0..x3, 0; svc 0; b to the beginning
    "linux/arm64": (
        _AARCH64,
        struct.pack(
            "<7I",
            0xD2800928, 0xD2800000, 0xD2800001, 0xD2800002, 0xD2800003, 0xD4000001, 0x17FFFFFA,
        ),
    ),
}  # fmt: skip


def pause_program(platform: str) -> bytes:
    """Return the executable for `platform`. Raises `EngineRefused` if there is none."""
    if platform not in _CODE:
        raise EngineRefused(
            f"images cannot be pinned on {platform}", hint=f"known: {', '.join(sorted(_CODE))}"
        )
    machine, code = _CODE[platform]
    begin = 64 + 56
    size = begin + len(code)
    header = b"\x7fELF\x02\x01\x01" + bytes(9)
    header += struct.pack(
        "<HHIQQQIHHHHHH", 2, machine, 1, _BASE + begin, 64, 0, 0, 64, 56, 1, 0, 0, 0
    )
    segment = struct.pack("<IIQQQQQQ", 1, 5, 0, _BASE, _BASE, size, size, 0x1000)
    return header + segment + code


def pause_archive(platform: str) -> bytes:
    """Return a tar archive with the executable, to be unpacked at a container's root."""
    program = pause_program(platform)
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        entry = tarfile.TarInfo(NAME)
        entry.size, entry.mode = len(program), 0o555
        archive.addfile(entry, io.BytesIO(program))
    return buffer.getvalue()
