"""Who has the line: one image downloads, others are unpacked meanwhile, the largest goes first."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import pytest

from warminfra.core.engine import LocalImage, PullEvent
from warminfra.core.errors import NoCapacity, RegistryRefused, Unreachable
from warminfra.images.holding import Store
from warminfra.images.lock import Locked
from warminfra.images.progress import PullProgress, Tally
from warminfra.images.pull import PrePull, _Job
from warminfra.images.reference import parse_reference
from warminfra.images.registry import Content, Layer

PATIENCE = 30.0
Pull = Callable[[Callable[[PullEvent], None]], None]


def job(name: str, size: int) -> _Job:
    digest = f"sha256:{name:0<64}"
    layer = Layer(f"sha256:{name:1<64}", size, f"sha256:{name:2<64}")
    entry = Locked(parse_reference(f"127.0.0.1:5000/{name}:1"), digest, {})
    return _Job(entry, Content("linux/amd64", digest, f"sha256:{name:3<64}", (layer,)), 0.0)


class Engine:
    """Says what a real engine says during a pull, in the test's order."""

    def __init__(self, pulls: Mapping[str, Pull]) -> None:
        self.pulls = pulls
        self.begun: list[str] = []
        self.here: list[LocalImage] = []

    def pull(
        self, repository: str, digest: str, login: Any, heard: Callable[[PullEvent], None]
    ) -> None:
        name = repository.rpartition("/")[2]
        self.begun.append(name)
        layer = f"{name:1<64}"[:12]
        heard(PullEvent(layer, "Pulling fs layer"))
        heard(PullEvent(layer, "Downloading", 1, 2))
        self.pulls[name](lambda event: heard(PullEvent(layer, event.status)))
        image = f"sha256:{name:3<64}"
        self.here.append(LocalImage(image, (), (f"{repository}@{digest}",), 1))

    def images(self, *, sizes: bool = False) -> Sequence[LocalImage]:
        return self.here

    def tag(self, image: str, name: str) -> None:
        """Nobody asks for it here."""

    def containers(self) -> Sequence[Any]:
        return ()


class Registry:
    """Lets everybody in, without a limit."""

    allowances: Mapping[str, Any] = {}

    class credentials:  # noqa: N801
        of = staticmethod(lambda domain: {})


def pre_pull(tmp_path: Path, engine: Engine, parallel: int = 1) -> PrePull:
    return PrePull(cast(Any, engine), cast(Any, Registry()), Store(tmp_path), parallel)


def run(pulling: PrePull, jobs: Sequence[_Job], seconds: float = PATIENCE) -> list[str]:
    progress = PullProgress((), lambda done, total, name: None)
    measures = pulling._pull_all(jobs, progress, time.monotonic() + seconds)
    return [measure.name.rpartition("/")[2] for measure in measures]


def complete(heard: Callable[[PullEvent], None]) -> None:
    heard(PullEvent("", "Download complete"))
    heard(PullEvent("", "Pull complete"))


def test_the_next_begins_when_the_first_is_downloaded_and_not_unpacked(tmp_path: Path) -> None:
    second = threading.Event()

    def slow_to_unpack(heard: Callable[[PullEvent], None]) -> None:
        assert engine.begun == ["a"], "another image had the line as well"
        heard(PullEvent("", "Download complete"))
        heard(PullEvent("", "Extracting"))
        assert second.wait(PATIENCE), "nobody took the line while the first was unpacked"
        heard(PullEvent("", "Pull complete"))

    def other(heard: Callable[[PullEvent], None]) -> None:
        second.set()
        complete(heard)

    engine = Engine({"a": slow_to_unpack, "b": other, "c": complete})
    found = run(pre_pull(tmp_path, engine), [job("a", 3), job("b", 2), job("c", 1)])
    assert found == ["a:1", "b:1", "c:1"]
    assert engine.begun == ["a", "b", "c"]


def test_as_many_download_as_may(tmp_path: Path) -> None:
    both = threading.Barrier(2, timeout=PATIENCE)

    def together(heard: Callable[[PullEvent], None]) -> None:
        both.wait()  # two have the line, neither has downloaded
        complete(heard)

    engine = Engine({"a": together, "b": together, "c": complete})
    assert len(run(pre_pull(tmp_path, engine, 2), [job("a", 3), job("b", 2), job("c", 1)])) == 3


def test_one_that_is_refused_ends_those_that_have_not_begun(tmp_path: Path) -> None:
    def refused(heard: Callable[[PullEvent], None]) -> None:
        raise RegistryRefused("no such image")

    engine = Engine({"a": refused, "b": complete})
    with pytest.raises(RegistryRefused, match="no such image"):
        run(pre_pull(tmp_path, engine), [job("a", 2), job("b", 1)])
    assert engine.begun == ["a"]


def test_one_that_is_tried_again_gives_the_line_away_meanwhile(tmp_path: Path) -> None:
    tries: list[str] = []

    def second_time(heard: Callable[[PullEvent], None]) -> None:
        tries.append("a")
        if len(tries) == 1:
            raise Unreachable("a hiccup")
        complete(heard)

    engine = Engine({"a": second_time, "b": complete})
    assert run(pre_pull(tmp_path, engine), [job("a", 2), job("b", 1)]) == ["a:1", "b:1"]
    assert len(tries) == 2


def test_when_the_time_is_over_what_came_is_counted(tmp_path: Path) -> None:
    def too_slow(heard: Callable[[PullEvent], None]) -> None:
        while True:  # until it is told that the time is over
            time.sleep(0.05)
            heard(PullEvent("", "Downloading"))

    engine = Engine({"a": complete, "b": too_slow, "c": complete})
    with pytest.raises(NoCapacity, match="1 of 3 images"):
        run(pre_pull(tmp_path, engine), [job("a", 3), job("b", 2), job("c", 1)], 2.0)
    assert engine.begun == ["a", "b"]


def test_a_layer_that_is_here_already_keeps_no_line() -> None:
    tally = Tally()
    for layer, status in (
        ("one", "Pulling fs layer"),
        ("two", "Pulling fs layer"),
        ("two", "Downloading"),
        ("one", "Already exists"),
    ):
        tally.note(PullEvent(layer, status), 0.0)
        assert not tally.downloaded
    tally.note(PullEvent("two", "Download complete"), 0.0)
    assert tally.downloaded
