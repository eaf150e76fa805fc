"""What every `Provider` must do, as tests that a provider's package inherits.

    class TestMine(ProviderConformance):
        @pytest.fixture
        def provider(self) -> Provider: ...
        @pytest.fixture
        def other_provider(self) -> Provider: ...

`provider` serves `INSTALLATION`, `other_provider` serves `OTHER` on the same server. What a test
makes, it takes down.
"""

# Tests that ship with the package: their asserts are the point.
# ruff: noqa: S101

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from warminfra.core.entropy import SystemEntropy
from warminfra.core.errors import ProviderRefused
from warminfra.core.ids import InstallationId, mint_tenant_id, tenant_name
from warminfra.core.models import TenantFacts, TenantPlan, TenantRef
from warminfra.core.ports import Condemns, Provider
from warminfra.core.template import ClientSpec, Template, UserSpec
from warminfra.leasing.material import draw_material

INSTALLATION = InstallationId("testbeda")
OTHER = InstallationId("testbedb")
"""Differs in one character, so that a comparison by prefix is found out."""

ENDPOINTS = frozenset(
    {"discovery", "authorization", "token", "userinfo", "jwks", "end_session", "introspection"}
)

Make = Callable[[], TenantPlan]


def plan_for(template: Template, installation: InstallationId = INSTALLATION) -> TenantPlan:
    """Return a plan for one new tenant, drawn as the product draws it."""
    entropy = SystemEntropy()
    tenant = mint_tenant_id(installation, entropy)
    return TenantPlan(
        ref=TenantRef(tenant, tenant_name(tenant)),
        installation=installation,
        template=template,
        material=draw_material(template, tenant, entropy),
        created_at=datetime.now(UTC),
    )


class ProviderConformance:
    """Inherit, and say how to get a provider; `keys_of` and `answers` where there is a server."""

    @pytest.fixture
    def provider(self) -> Provider:
        """Return the provider under test, for `INSTALLATION`."""
        raise NotImplementedError

    @pytest.fixture
    def other_provider(self) -> Provider:
        """Return a provider for `OTHER` on the same server."""
        raise NotImplementedError

    @pytest.fixture
    def template(self) -> Template:
        """Return a template that the provider can make."""
        return Template(
            provider="any",
            recipe="conformance",
            client=ClientSpec(redirect_uris=("https://{domain}/*",)),
            users=(UserSpec("alice", roles=("editor",)), UserSpec("robert")),
        )

    def keys_of(self, facts: TenantFacts) -> frozenset[str]:
        """Return something that names each of a tenant's public keys."""
        return frozenset()

    def answers(self, facts: TenantFacts) -> bool:
        """Say whether the tenant's public face is there."""
        return True

    @pytest.fixture
    def make(self, provider: Provider, template: Template) -> Iterator[Make]:
        """Return a function that draws a plan which is taken down after the test."""
        drawn: list[TenantPlan] = []

        def draw() -> TenantPlan:
            drawn.append(plan_for(template))
            return drawn[-1]

        yield draw
        for plan in drawn:
            provider.destroy_tenant(plan.ref)

    # ------------------------------------------------------------ what must hold

    def test_a_tenant_that_was_made_is_there(self, provider: Provider, make: Make) -> None:
        """When create returns, the tenant is listed under our id, and its endpoints are told."""
        plan = make()
        facts = provider.create_tenant(plan)
        assert plan.ref in [found.ref for found in provider.list_tenants()]
        assert facts.endpoints.keys() >= ENDPOINTS
        assert self.answers(facts)

    def test_a_tenant_is_personalised_as_often_as_one_likes(
        self, provider: Provider, make: Make
    ) -> None:
        """Applying a domain twice, or another one, is no error."""
        plan = make()
        provider.create_tenant(plan)
        for domain in ("one.example.test", "one.example.test", "two.example.test"):
            provider.personalise(plan.ref, plan.template.client, plan.material, domain)

    def test_a_destroyed_tenant_is_gone(self, provider: Provider, make: Make) -> None:
        """After destroy nothing of it is found; before, what there is of it is named in words."""
        plan = make()
        provider.create_tenant(plan)
        remains = provider.verify_gone(plan.ref)
        assert remains
        assert all(isinstance(line, str) and line for line in remains)
        provider.destroy_tenant(plan.ref)
        assert list(provider.verify_gone(plan.ref)) == []
        assert plan.ref not in [found.ref for found in provider.list_tenants()]

    def test_destroying_twice_is_fine(self, provider: Provider, make: Make) -> None:
        """A repeated teardown changes nothing and does not fail."""
        plan = make()
        provider.create_tenant(plan)
        provider.destroy_tenant(plan.ref)
        provider.destroy_tenant(plan.ref)
        assert list(provider.verify_gone(plan.ref)) == []

    def test_destroying_what_never_was_is_fine(
        self, provider: Provider, template: Template
    ) -> None:
        """A tenant whose create never arrived is torn down as any other."""
        plan = plan_for(template)
        provider.destroy_tenant(plan.ref)
        assert list(provider.verify_gone(plan.ref)) == []

    def test_a_condemned_tenant_is_there_until_it_is_destroyed(
        self, provider: Provider, make: Make
    ) -> None:
        """To condemn destroys nothing, may be repeated, and is fine for what is gone."""
        if not isinstance(provider, Condemns):
            pytest.skip("the provider does all of a teardown in its destroy")
        plan = make()
        provider.create_tenant(plan)
        for _ in range(2):
            provider.condemn(plan.ref)
        assert plan.ref in [found.ref for found in provider.list_tenants()]
        provider.destroy_tenant(plan.ref)
        assert list(provider.verify_gone(plan.ref)) == []
        provider.condemn(plan.ref)
        provider.destroy_tenant(plan.ref)
        assert list(provider.verify_gone(plan.ref)) == []

    def test_nobody_elses_tenant_is_condemned(
        self, provider: Provider, other_provider: Provider, make: Make, template: Template
    ) -> None:
        """Neither another installation's, nor what is merely called like a tenant."""
        if not isinstance(other_provider, Condemns) or not isinstance(provider, Condemns):
            pytest.skip("the provider does all of a teardown in its destroy")
        plan = make()
        provider.create_tenant(plan)
        with pytest.raises(ProviderRefused):
            other_provider.condemn(plan.ref)
        with pytest.raises(ProviderRefused):
            provider.condemn(replace(plan_for(template).ref, name=plan.ref.name))

    def test_another_installations_tenant_is_never_touched(
        self, provider: Provider, other_provider: Provider, make: Make
    ) -> None:
        """Two installations on one server neither see nor destroy each other's tenants."""
        plan = make()
        provider.create_tenant(plan)
        assert plan.ref not in [found.ref for found in other_provider.list_tenants()]
        with pytest.raises(ProviderRefused):
            other_provider.destroy_tenant(plan.ref)
        assert plan.ref in [found.ref for found in provider.list_tenants()]

    def test_a_name_with_another_id_is_refused(
        self, provider: Provider, make: Make, template: Template
    ) -> None:
        """Something that is merely called like a tenant is not destroyed in its place."""
        plan = make()
        provider.create_tenant(plan)
        impostor = replace(plan_for(template).ref, name=plan.ref.name)
        with pytest.raises(ProviderRefused):
            provider.destroy_tenant(impostor)
        assert plan.ref in [found.ref for found in provider.list_tenants()]

    def test_a_second_tenant_under_a_taken_name_is_refused(
        self, provider: Provider, make: Make, template: Template
    ) -> None:
        """A create that finds its name taken is a sure no, and leaves the first one alone."""
        plan = make()
        provider.create_tenant(plan)
        fresh = plan_for(template)
        with pytest.raises(ProviderRefused):
            provider.create_tenant(replace(fresh, ref=TenantRef(fresh.ref.id, plan.ref.name)))
        assert [found.ref for found in provider.list_tenants()].count(plan.ref) == 1

    def test_ten_tenants_of_a_template_share_nothing(self, provider: Provider, make: Make) -> None:
        """Ids, secrets, passwords and keys of ten leases are all different."""
        plans = [make() for _ in range(10)]
        facts = [provider.create_tenant(plan) for plan in plans]
        drawn = [
            value
            for plan in plans
            for value in (
                plan.ref.id,
                plan.material.client_id,
                plan.material.client_secret,
                plan.material.client_object,
                *(user.password for user in plan.material.users),
            )
        ]
        assert len(set(drawn)) == len(drawn)
        keys = [key for tenant in facts for key in self.keys_of(tenant)]
        assert len(set(keys)) == len(keys)
        assert len({tenant.issuer for tenant in facts}) == len(facts)

    def test_a_healthy_server_says_so(self, provider: Provider) -> None:
        """Health returns; fingerprint and capabilities do not change between two looks."""
        provider.health()
        assert provider.fingerprint() == provider.fingerprint()
        assert provider.capabilities().transaction_timeout > 0
