"""What other tests rely on: a real engine, a real registry, and troubles that are real too."""

from __future__ import annotations

import time
from urllib.request import urlopen

import pytest

from testbed.engine import Engine
from testbed.gate import Gate
from testbed.image_builds import build
from testbed.installation import wait_until
from testbed.registry import Registry
from testbed.relying_party import free_port

pytestmark = pytest.mark.live

Web = tuple[str, str]


@pytest.fixture
def cold(engine: Engine, web_images: Web) -> Web:
    """The images, none of which the engine has."""
    engine.forget_images()
    return web_images


def test_a_pull_is_seen_in_the_registrys_log_and_at_the_gate(
    engine: Engine, registry: Registry, gate: Gate, cold: Web
) -> None:
    """Each request of a pull stands in both; a second pull moves no layer."""
    before = len(registry.access_log())
    engine.run("pull", cold[0])
    blobs = [request for request in gate.requests if "/blobs/" in request.path]
    assert blobs
    assert sum(request.sent for request in blobs) > 10 << 20
    asked = registry.access_log()[before:]
    assert sum("/blobs/" in line for line in asked) == len(blobs)
    gate.clear()
    engine.run("pull", cold[0])
    assert sum(request.sent for request in gate.requests) < 64 << 10  # manifest, configuration


def test_a_registry_that_is_cut_off_gives_nothing(engine: Engine, gate: Gate, cold: Web) -> None:
    """A pull fails, and nothing is asked; afterwards it works again."""
    with gate.cut_off(), pytest.raises(RuntimeError, match="refused"):
        engine.run("pull", cold[0])
    assert gate.requests == []
    engine.run("pull", cold[0])


def test_a_limited_line_is_as_slow_as_it_says(engine: Engine, gate: Gate, cold: Web) -> None:
    """A pull takes no less than its bytes at that rate."""
    rate = 40 << 20
    gate.limit(rate)
    started = time.monotonic()
    engine.run("pull", cold[0])
    took = time.monotonic() - started
    assert took >= 0.95 * sum(request.sent for request in gate.requests) / rate


def test_refusals_are_answered_as_often_as_told(engine: Engine, gate: Gate, cold: Web) -> None:
    """429 comes with its headers, and stops after the times given."""
    with (
        gate.refusing(429, {"Retry-After": "7"}, matching="/manifests/"),
        pytest.raises(RuntimeError, match="toomanyrequests"),
    ):
        engine.run("pull", cold[0])
    assert 429 in {request.status for request in gate.requests}
    engine.run("pull", cold[0])


def test_a_changed_byte_is_found_by_the_engine(engine: Engine, gate: Gate, cold: Web) -> None:
    """A blob of another digest is refused: the trouble is a real one."""
    with gate.corrupting("/blobs/"), pytest.raises(RuntimeError):
        engine.run("pull", cold[0])
    engine.run("pull", cold[0])


def test_images_are_not_built_twice(engine: Engine, registry: Registry, web_images: Web) -> None:
    """What the registry holds is not built again, though the engine has forgotten everything."""
    engine.forget_images()
    assert [image.reference for image in build(engine, registry, ["web"])] == list(web_images)
    assert engine.run("image", "ls", "--quiet") == ""


def test_a_stack_is_deployed_and_answers_on_loopback(
    engine: Engine, gate: Gate, web_images: Web
) -> None:
    """The engine is a Swarm: a service runs, and its host-mode port answers."""
    port = free_port()
    engine.run(
        *("service", "create", "--detach", "--quiet", "--name", "testbed-web"),
        *("--endpoint-mode", "dnsrr", "--publish", f"mode=host,target=80,published={port}"),
        web_images[1],
    )
    try:

        def answers() -> bool:
            try:
                with urlopen(f"http://127.0.0.1:{port}/version", timeout=2) as answer:
                    return bool(answer.read() == b"1.1.0\n")
            except OSError:
                return False

        wait_until(answers, 180, "the service to answer")
    except TimeoutError:
        print(engine.run("service", "ps", "--no-trunc", "testbed-web"))
        raise
    finally:
        engine.run("service", "rm", "testbed-web")
    wait_until(
        lambda: engine.run("ps", "--quiet", "--filter", "name=testbed-web") == "", 60, "its end"
    )
