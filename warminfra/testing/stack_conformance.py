"""What every `Stacks` must do, as tests that an engine's package inherits.

    class TestMine(StacksConformance):
        @pytest.fixture
        def stacks(self) -> Stacks: ...

They use secrets alone, which any engine makes at once. What a test makes, it takes down.
"""

# Tests that ship with the package: their asserts are the point.
# ruff: noqa: S101

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import pytest

from warminfra.core.engine import STACK_LABEL, StackKind
from warminfra.core.entropy import SystemEntropy
from warminfra.core.errors import Conflict
from warminfra.core.ports import Stacks
from warminfra.core.secret import Secret

Make = Callable[[str, str], str]
"""Makes a secret of a stack, by stack and name; returns its full name."""


class StacksConformance:
    """Inherit, and say how to get the stacks of an engine; `now` where its clock is another."""

    @pytest.fixture
    def stacks(self) -> Stacks:
        raise NotImplementedError

    @pytest.fixture
    def now(self) -> datetime:
        return datetime.now(UTC)

    @pytest.fixture
    def stack(self) -> str:
        """A name that nobody else has."""
        return f"conformance-{SystemEntropy().token(8)}"

    @pytest.fixture
    def make(self, stacks: Stacks) -> Iterator[Make]:
        made: list[str] = []

        def secret(stack: str, name: str) -> str:
            made.append(stack)
            stacks.make_secret(f"{stack}_{name}", Secret("value"), {STACK_LABEL: stack})
            return f"{stack}_{name}"

        yield secret
        for stack in made:
            for found in stacks.objects(stack):
                stacks.remove(found)

    def test_an_engine_that_answers_is_ready(self, stacks: Stacks) -> None:
        """`ready` returns where stacks can be owned."""
        stacks.ready()

    def test_a_stack_is_what_carries_exactly_its_name(
        self, stacks: Stacks, stack: str, make: Make
    ) -> None:
        """Not what begins with it, nor what it begins with."""
        mine = make(stack, "a")
        make(f"{stack}-other", "a")
        make(stack[:-1], "a")
        assert [found.name for found in stacks.objects(stack)] == [mine]
        assert stacks.objects(f"{stack}-none") == []

    def test_objects_tell_their_age_and_kind(
        self, stacks: Stacks, stack: str, make: Make, now: datetime
    ) -> None:
        """Aware, near enough to now that a lease a moment older owns it."""
        make(stack, "a")
        (found,) = stacks.objects(stack)
        assert found.kind is StackKind.SECRET
        assert found.created_at.tzinfo is not None
        assert abs(found.created_at - now) < timedelta(minutes=1)

    def test_removing_is_fine_twice_and_takes_that_one_alone(
        self, stacks: Stacks, stack: str, make: Make
    ) -> None:
        """What is gone already is no error; what was made anew under the name is another object."""
        make(stack, "a")
        kept = make(stack, "b")
        first = next(found for found in stacks.objects(stack) if found.name != kept)
        stacks.remove(first)
        again = make(stack, "a")
        stacks.remove(first)
        assert {found.name for found in stacks.objects(stack)} == {kept, again}

    def test_a_secret_s_name_is_had_once(self, stacks: Stacks, stack: str, make: Make) -> None:
        """A second one of that name is a conflict, and changes nothing."""
        make(stack, "a")
        before = stacks.objects(stack)
        with pytest.raises(Conflict):
            make(stack, "a")
        assert stacks.objects(stack) == before

    def test_no_services_no_images(self, stacks: Stacks, stack: str, make: Make) -> None:
        """A stack of secrets alone runs nothing."""
        make(stack, "a")
        assert stacks.images(stack) == []
        assert stacks.memory(stack) == 0
