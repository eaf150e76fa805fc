"""Ids, states, errors and templates keep what their docstrings promise."""

from __future__ import annotations

import pytest

from warminfra.core import errors, states
from warminfra.core.entropy import SeededEntropy, SystemEntropy
from warminfra.core.ids import InstallationId, mint_tenant_id, owner_of, tenant_name
from warminfra.core.secret import Secret
from warminfra.core.template import ClientSpec, Template, UserSpec, template_from_json


def test_a_tenant_id_names_exactly_its_installation() -> None:
    """`abcdefgh` never takes a tenant of `abcdefgx`, or of a longer name, for its own."""
    tenant = mint_tenant_id(InstallationId("abcdefgh"), SystemEntropy())
    assert owner_of(tenant) == "abcdefgh"
    assert len(tenant) <= 36, "Keycloak's realm id has 36 characters"
    assert owner_of("x" + tenant) is None
    assert owner_of(tenant + "x") is None
    assert owner_of(tenant[1:]) is None
    assert owner_of("master") is None
    assert owner_of(tenant_name(tenant)) is None


def test_tokens_have_five_bits_a_character() -> None:
    """Every character of the alphabet is drawn about as often as any other."""
    drawn = SystemEntropy().token(64_000)
    counts = [drawn.count(char) for char in set(drawn)]
    assert len(counts) == 32
    assert min(counts) > 1600
    assert max(counts) < 2400


def test_a_secret_does_not_print_itself() -> None:
    """No way of formatting a secret shows it."""
    secret = Secret("hunter2")
    assert "hunter2" not in f"{secret} {secret!r} {secret!s} {[secret]}"
    assert secret.reveal() == "hunter2"


@pytest.mark.parametrize("moves", [states.TENANT_MOVES, states.LEASE_MOVES, states.INSTANCE_MOVES])
def test_every_state_is_in_its_table(moves: dict[str, frozenset[str]]) -> None:
    """A state without an entry could be entered and never left by mistake."""
    kind = type(next(iter(moves)))
    assert set(moves) == set(kind)
    assert all(target in moves for targets in moves.values() for target in targets)


def test_any_live_tenant_can_be_retired() -> None:
    """Whatever happens, a tenant can be taken down."""
    live = states.LIVE_TENANT - {states.TenantState.RETIRING}
    assert states.sources(states.TENANT_MOVES, states.TenantState.RETIRING) == live


def test_error_codes_are_distinct_and_survive_the_wire() -> None:
    """A client rebuilds exactly the error that the service raised."""
    ours = [cls for cls in errors.error_classes() if cls.__module__ == errors.__name__]
    classes = [cls for cls in ours if cls is not errors.WarminfraError]
    assert len({cls.code for cls in classes}) == len(classes)
    for cls in classes:
        made = cls(["one", "two"]) if cls is errors.RecipeInvalid else cls("one")
        again = errors.from_code(made.code, made.message, made.hint)
        assert type(again) is cls
        assert (again.message, again.exit_code) == (made.message, made.exit_code)


def _template(**changes: object) -> Template:
    values: dict[str, object] = {
        "provider": "keycloak",
        "recipe": "app",
        "client": ClientSpec(redirect_uris=("https://{domain}/*",)),
        "users": (UserSpec("alice", roles=("editor",)),),
    }
    return Template(**{**values, **changes})  # type: ignore[arg-type]


def test_a_template_survives_its_text() -> None:
    """What is stored is what was meant: same value, same hash."""
    template = _template(base={"loginTheme": "x"}, base_features=("realm.loginTheme",))
    again = template_from_json(template.to_json())
    assert again == template
    assert again.hash == template.hash


def test_every_part_of_a_template_counts_in_its_hash() -> None:
    """A pooled tenant of yesterday's template is never handed out for today's."""
    variants = [
        _template(),
        _template(recipe="other"),
        _template(admin=True),
        _template(users=()),
        _template(client=ClientSpec(id_pattern="fixed")),
        _template(base={"a": 1}),
    ]
    assert len({variant.hash for variant in variants}) == len(variants)


def test_features_name_what_opens_a_channel() -> None:
    """A fixed client id or redirect, an admin and client settings must be covered by a verdict."""
    assert _template().features == frozenset()
    fixed = _template(
        client=ClientSpec("docs", ("https://docs.example/*",), {"implicitFlowEnabled": True}),
        admin=True,
        base_features=("realm.smtpServer",),
    )
    assert fixed.features == {
        "client.fixed-id",
        "client.fixed-redirect",
        "client.settings.implicitFlowEnabled",
        "admin",
        "realm.smtpServer",
    }


def test_a_seeded_source_replays() -> None:
    """The same seed draws the same values, so a failing simulation can be run again."""
    assert SeededEntropy(7).token(30) == SeededEntropy(7).token(30)
