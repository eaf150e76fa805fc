"""The catalogue of planted faults, their stealth forms, and where they sit."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar, cast

import pytest

from isolation_checks.engine import CHECKS, DEAR_CHECKS
from isolation_checks.events import CHANNELS, PLAIN
from isolation_checks.mutants.base import Decorator
from isolation_checks.mutants.catalogue import ABSENT, MUTANTS, SPECIFICATION
from isolation_checks.mutants.foreign import load
from isolation_checks.mutants.hosted import Hosted
from isolation_checks.mutants.taken_down import half_done, nothing
from isolation_checks.plan import PROFILES, mutants_for
from isolation_checks.plant import BEGINNING, END, Plant, Switch, UnderWay
from isolation_checks.scratch import Scratch
from isolation_checks.selftest import planned
from isolation_checks.stealth import FORMS, ONE_IN_TEN, TWO_LIVE, USED_BEFORE, stealthy
from warminfra.core.errors import Usage
from warminfra.core.ids import TenantId
from warminfra.core.models import TenantRef


def test_every_fault_of_the_specification_is_planted_or_named_with_its_reason() -> None:
    """No number from M01 to M49 is forgotten, none is both."""
    planted = {mutant.id for mutant in MUTANTS}
    absent = {one.id for one in ABSENT}
    assert not planted & absent
    assert set(SPECIFICATION) <= planted | absent
    assert all(one.reason for one in ABSENT)
    assert len(SPECIFICATION) == 49


def test_each_fault_has_one_number_and_a_channel_that_a_check_looks_at() -> None:
    """Numbers are unique; what no check could see is not in the catalogue."""
    numbers = [mutant.id for mutant in MUTANTS]
    assert len(numbers) == len(set(numbers))
    looked_at = {channel for check in (*CHECKS, *DEAR_CHECKS) for channel in check.channels}
    assert {mutant.channel for mutant in MUTANTS} <= looked_at & set(CHANNELS)
    assert all(set(mutant.forms) <= set(FORMS) for mutant in MUTANTS)
    there = {(check.name, channel) for check in CHECKS for channel in check.channels}
    assert {(one.seen_by, one.channel) for one in MUTANTS if one.seen_by} <= there


def test_the_self_test_plants_every_fault_and_every_form_once() -> None:
    """Plain and stealth forms, the dear ones last."""
    plans = list(planned(MUTANTS, "user"))
    assert len(plans) == len({(mutant.id, form) for mutant, form in plans})
    assert {mutant.id for mutant, form in plans if form == PLAIN} == {one.id for one in MUTANTS}
    assert {form for _, form in plans} == {PLAIN, *FORMS}
    assert plans[-1][0].dear


@pytest.mark.parametrize("lease_class", ["user", "admin"])
def test_a_fault_is_drawn_of_each_channel_that_the_profile_looks_at(lease_class: str) -> None:
    """And of no other: nothing is claimed of those."""
    for profile in PROFILES.values():
        drawn = {mutant.channel for mutant in mutants_for(profile, MUTANTS, 3, lease_class)}
        channels = profile.channels_of(lease_class)
        assert drawn == channels & {mutant.channel for mutant in MUTANTS}
        some = {one.channel for one in mutants_for(profile, MUTANTS, 3, lease_class, 30)}
        assert some <= channels
    assert PROFILES["smoke"].channels_of("admin") == set(CHANNELS)


def test_no_audit_draws_a_fault_that_takes_a_start() -> None:
    """They are the self-test's."""
    for seed in range(50):
        drawn = mutants_for(PROFILES["smoke"], MUTANTS, seed, "user")
        assert not any(mutant.dear for mutant in drawn)


class _Provider:
    def destroy_tenant(self, ref: TenantRef) -> str:
        return "honest"

    def verify_gone(self, ref: TenantRef) -> str:
        return "honest"

    def list_tenants(self) -> str:
        return "honest"


class _Spoiled(_Provider):
    def destroy_tenant(self, ref: TenantRef) -> str:
        return "spoiled"

    verify_gone = destroy_tenant

    def list_tenants(self) -> str:
        return "spoiled"


def test_a_fault_is_there_only_where_it_fires() -> None:
    """One tenant is spoiled from destroy to look, its neighbour is not touched at all."""
    plant = Plant()
    plant.mutate = lambda _: cast(Any, _Spoiled())
    plant.fires = lambda tenant, moment: tenant == "a" and moment == END
    switch: Any = Switch(_Provider(), lambda real: plant.mutate(real), plant)
    one, other = TenantRef(TenantId("a"), "wi-a"), TenantRef(TenantId("b"), "wi-b")
    assert (switch.destroy_tenant(one), switch.verify_gone(one)) == ("spoiled", "spoiled")
    assert (switch.destroy_tenant(other), switch.verify_gone(other)) == ("honest", "honest")
    assert switch.list_tenants() == "spoiled"
    plant.clear()
    assert switch.destroy_tenant(one) == "honest"


class _Condemns(_Provider):
    def __init__(self) -> None:
        self.condemned: list[str] = []

    def condemn(self, ref: TenantRef) -> None:
        self.condemned.append(ref.id)


def _switch(plant: Plant, real: Any) -> Any:
    return Switch(UnderWay(real, [], []), lambda one: plant.mutate(one), plant)


def test_an_audited_provider_condemns_as_a_live_one() -> None:
    """Through all that stands before it, with a fault or none; one that cannot still cannot."""
    plant, real, ref = Plant(), _Condemns(), TenantRef(TenantId("a"), "wi-a")
    for mutate in (plant.mutate, Decorator):
        plant.mutate = mutate
        _switch(plant, real).condemn(ref)
    assert real.condemned == ["a", "a"]
    assert not hasattr(_switch(plant, _Provider()), "condemn")


def test_a_condemn_undoes_no_fault_of_a_teardown() -> None:
    """Where a teardown is spoiled the tenant stays as the fault leaves it; its neighbour goes."""
    scratch, real = cast(Scratch, SimpleNamespace(plant=Plant())), _Condemns()
    one, other = TenantRef(TenantId("a"), "wi-a"), TenantRef(TenantId("b"), "wi-b")
    with half_done(nothing, clean=nothing)(scratch):
        scratch.plant.fires = lambda tenant, moment: tenant == "a" and moment == END
        for ref in (one, other):
            _switch(scratch.plant, real).condemn(ref)
    assert real.condemned == ["b"]

    class Guests(Hosted):
        hosts: ClassVar = {"a": other}

    for ref in (one, other):
        Guests(cast(Any, real)).condemn(ref)
    assert real.condemned == ["b", "b"]


class _Scratch:
    """What a stealth form looks at."""

    def __init__(self) -> None:
        self.plant = Plant()
        self.crashes = 0
        self.active: list[Any] = []
        self.parts = self.ledger = self.leases = self

    def __call__(self) -> list[Any]:
        return self.active


def _fires(form: str, scratch: Any) -> Any:
    scratch.leases = type("Leases", (), {"active": staticmethod(scratch)})
    from contextlib import nullcontext
    from dataclasses import replace

    quiet = replace(MUTANTS[0], planted=lambda _: nullcontext())
    with stealthy(quiet, form, seed=1).planted(cast(Scratch, scratch)):
        return scratch.plant.fires


def test_once_in_ten_is_about_that_often_and_stays_with_its_word() -> None:
    """A tenant is spoiled at its beginning and its end, or not at all."""
    fires = _fires(ONE_IN_TEN, _Scratch())
    tenants = [f"tenant-{number}" for number in range(2000)]
    hit = [tenant for tenant in tenants if fires(tenant, BEGINNING)]
    assert 120 < len(hit) < 280
    assert hit == [tenant for tenant in tenants if fires(tenant, END)]


def test_two_live_fires_only_beside_another_lease() -> None:
    """What was decided for a tenant stays, whoever comes or goes."""
    scratch = _Scratch()
    fires = _fires(TWO_LIVE, scratch)
    assert not fires("alone", BEGINNING)
    scratch.active = [type("Lease", (), {"id": "alone"})]
    assert fires("beside", BEGINNING)
    assert not fires("alone", BEGINNING)
    assert not fires("alone", END)


def test_used_before_fires_from_the_second_lease_on() -> None:
    """The first lease of a template is clean."""
    fires = _fires(USED_BEFORE, _Scratch())
    assert [fires(tenant, BEGINNING) for tenant in ("a", "b", "a", "c")] == [
        *(False, True),
        *(False, True),
    ]


IMPORT = "from isolation_checks.mutants.base import Mutant\n"
EXAMPLE = Path("docs/examples/mutant_default_password.py")


def test_somebody_elses_mutant_is_loaded_from_its_file() -> None:
    """The example of the documentation is one."""
    mutant = load(EXAMPLE)
    assert (mutant.id, mutant.channel, mutant.forms) == ("Z01", "X4", ())


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "names no MUTANT"),
        ("MUTANT = 1", "names no MUTANT"),
        ("1 / 0", "ZeroDivisionError"),
        ("def (", "SyntaxError"),
        (IMPORT + "MUTANT = Mutant('Z', 't', 'X99', None)", "no channel 'X99'"),
        (IMPORT + "MUTANT = Mutant('M10', 't', 'X4', None)", "M10 is one of ours"),
    ],
)
def test_a_file_that_is_no_mutant_is_refused_in_one_line(
    tmp_path: Path, text: str, says: str
) -> None:
    """With what is wrong with it."""
    file = tmp_path / "mine.py"
    file.write_text(text)
    with pytest.raises(Usage, match=says):
        load(file)


def test_a_mutant_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """By its name."""
    with pytest.raises(Usage, match=r"absent\.py"):
        load(tmp_path / "absent.py")
