"""Recipes: a good one is read whole, a bad one is refused with every fault at its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from warminfra.core.errors import NotFound, RecipeInvalid, Usage
from warminfra.core.template import DEFAULT_CLIENT_ID, UserSpec
from warminfra.recipes import PRESETS, read_recipe

GOOD = """
[sso]
provider = "keycloak"
realm_file = "realm.json"
env_preset = "django-lasuite"
admin = true
[sso.client]
id = "app-{lease}"
redirect_uris = ["https://{domain}/*", "https://www.{domain}:8443/cb"]
settings = { attributes = { "pkce.code.challenge.method" = "S256" } }
[[sso.users]]
username = "alice"
email = "alice@corp.test"
first_name = "Alice"
last_name = "Moreau"
roles = ["editor"]
[[sso.users]]
username = "bob@corp.test"
[sso.env]
OIDC_RP_SIGN_ALGO = "ES256"
ADMIN_URL = "{admin.url}"
JSON = '{{"host": "{domain}"}}'
[sso.secrets]
oidc_rpcs = "{client.secret}"
[pool]
min = 1
max = 3
[[readiness]]
service = "app"
http = "/health/ready"
timeout = "10m"
[stages]
share_deploy = ["install", "custom"]
[weight]
memory = "1.2GiB"
cpu = 1.0
[leases]
ttl = "10m"
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    found = tmp_path / "lasuite-docs"
    found.mkdir()
    return found


def faults(folder: Path, text: str) -> list[str]:
    """Return the faults of a recipe's text, without the path in front."""
    path = folder / "warminfra.toml"
    path.write_text(text)
    with pytest.raises(RecipeInvalid) as caught:
        read_recipe(folder)
    assert caught.value.exit_code == 65
    return [problem.removeprefix(f"{path}:") for problem in caught.value.problems]


def test_a_good_recipe_is_read_whole(folder: Path) -> None:
    """Every key of the contract arrives; settings of the installation beside them do no harm."""
    (folder / "warminfra.toml").write_text(GOOD)
    (folder / "realm.json").write_text(json.dumps({"realm": "docs"}))
    recipe = read_recipe(folder)
    assert (recipe.name, recipe.provider, recipe.admin) == ("lasuite-docs", "keycloak", True)
    assert recipe.path == folder.resolve()
    assert recipe.realm == {"realm": "docs"}
    assert recipe.client.id_pattern == "app-{lease}"
    assert recipe.client.redirect_uris == ("https://{domain}/*", "https://www.{domain}:8443/cb")
    assert recipe.client.settings == {"attributes": {"pkce.code.challenge.method": "S256"}}
    assert recipe.users == (
        UserSpec("alice", "alice@corp.test", "Alice", "Moreau", ("editor",)),
        UserSpec("bob@corp.test", "bob@corp.test"),
    )
    assert recipe.secrets == {"oidc_rpcs": "{client.secret}"}
    assert (recipe.pool_min, recipe.pool_max) == (1, 3)


def test_the_recipes_own_names_win_over_the_preset(folder: Path) -> None:
    """`[sso.env]` changes one name and leaves the rest of the preset."""
    (folder / "warminfra.toml").write_text(GOOD.replace('realm_file = "realm.json"', ""))
    env = read_recipe(folder).env
    assert env["OIDC_RP_SIGN_ALGO"] == "ES256"
    assert env["OIDC_OP_URL"] == "{issuer}"


def test_the_least_recipe_is_an_empty_sso_table(folder: Path) -> None:
    """Everything has a default: the generic preset, a fresh client id, both schemes."""
    (folder / "warminfra.toml").write_text("[sso]\n")
    recipe = read_recipe(folder, "other")
    assert recipe.name == "other"
    assert recipe.client.id_pattern == DEFAULT_CLIENT_ID
    assert recipe.client.redirect_uris == ("https://{domain}/*", "http://{domain}/*")
    assert dict(recipe.env) == dict(PRESETS["generic"])
    assert (recipe.users, recipe.pool_min, recipe.realm) == ((), None, None)


def test_all_faults_are_told_at_once_in_the_order_of_the_file(folder: Path) -> None:
    """Unknown keys, wrong types and wrong values come as one error, each with line and form."""
    assert faults(
        folder,
        "[sso]\nprovder = 'x'\nadmin = 'yes'\nenv_preset = 'django'\nprovider = 'ldap'\n"
        "[sso.client]\nredirect_uris = 'x'\nid = 'a b'\nsettings = { secret = 's' }\n"
        "[[sso.users]]\nname = 'alice'\n[pool]\nmin = 4\nmax = 2\n[waight]\n"
        "[[readiness]]\nhttp = '/'\ntcp = 1\n",
    ) == [
        "2: sso.provder: unknown; did you mean 'provider'?",
        "3: sso.admin: 'yes' does not fit; expected true or false",
        '4: sso.env_preset: \'django\' does not fit; expected one of "django-lasuite", "generic"',
        "5: sso.provider: 'ldap' does not fit; expected one of \"keycloak\"",
        "7: sso.client.redirect_uris: 'x' is not a list; "
        'expected a list of texts, as in ["a", "b"]',
        "8: sso.client.id: 'a b' does not fit; "
        "expected a text without spaces, of at most 200 characters",
        "9: sso.client.settings.secret: not set here; it is drawn for every lease",
        '10: sso.users.0.username: missing; expected username = "alice"',
        "11: sso.users.0.name: unknown; did you mean 'username'?",
        "13: pool.min: 4 is over pool.max, 2; expected at most 2",
        "15: waight: unknown; did you mean 'weight'?",
        "16: readiness.0: not exactly one probe; expected http, tcp, exec or oidc",
    ]


@pytest.mark.parametrize(
    "uri",
    [
        "*",
        "https://{domain}/*/x",
        "https://evil.example/{domain}",
        "https://{domain}.evil.example/",
        "https://{domain}@evil.example/",
        "https://{lease}/",
        "https://{domain}/#fragment",
        "{domain}/cb",
    ],
)
def test_a_redirect_that_leads_elsewhere_is_refused(folder: Path, uri: str) -> None:
    """`{domain}` is the end of the host; a wildcard stands at the end only."""
    found = faults(folder, f'[sso.client]\nredirect_uris = [\n"https://{{domain}}/*",\n"{uri}"]\n')
    assert len(found) == 1
    assert found[0].startswith("4: sso.client.redirect_uris.1: ")


@pytest.mark.parametrize(
    ("pattern", "what"),
    [
        ("{issuer", "has a brace without its partner"),
        ("{issur}", "did you mean 'issuer'?"),
        ("{handle}", "ends the lease"),
        ("{admin.url}", "needs an admin"),
        ("{users.1.password}", "is no field here"),
        ("{}", "is no field here"),
    ],
)
def test_an_env_pattern_takes_fields_of_the_lease_only(
    folder: Path, pattern: str, what: str
) -> None:
    """A field that the lease will not have is told when the recipe is read, not when it runs."""
    found = faults(folder, f"[[sso.users]]\nusername = 'alice'\n[sso.env]\nX = '{pattern}'\n")
    assert len(found) == 1
    assert found[0].startswith("4: sso.env.X: ")
    assert what in found[0]


def test_two_users_cannot_share_a_name_or_address(folder: Path) -> None:
    """Names count without case, as identity servers count them."""
    found = faults(
        folder,
        "[[sso.users]]\nusername = 'alice'\nemail = 'a@x.test'\n"
        "[[sso.users]]\nusername = 'Alice'\nemail = 'A@x.test'\nroles = ['r', 'r']\n",
    )
    assert [line.split(": ")[:2] for line in found] == [
        ["5", "sso.users.1.username"],
        ["6", "sso.users.1.email"],
        ["7", "sso.users.1.roles.1"],
    ]


def test_policy_cannot_come_from_a_recipe(folder: Path) -> None:
    """What is under test does not decide how it is judged."""
    found = faults(folder, "[sso]\n[sharing]\npolicy = 'unproven'\n")
    assert found == [
        "2: sharing: policy is never read from a recipe; expected it in the user's file"
    ]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ('{"a": 1,\n "b": }', "2: broken JSON"),
        ("[1]", "1: not an object"),
        ("[" * 100_000, "1: nested too deeply"),
    ],
)
def test_a_broken_realm_file_gives_its_own_line(folder: Path, content: str, problem: str) -> None:
    """The realm file's faults come with its own name and line, beside the recipe's."""
    (folder / "realm.json").write_text(content)
    found = faults(folder, "[sso]\nrealm_file = 'realm.json'\nadmin = 1\n")
    assert found[0].startswith("3: sso.admin")
    assert found[1].startswith(f"{folder / 'realm.json'}:{problem}")


@pytest.mark.parametrize(
    ("realms", "choice", "chosen", "problem"),
    [
        (["docs"], "", "docs", ""),
        (["master", "docs"], "", "docs", ""),
        (["one", "two"], "realm = 'two'\n", "two", ""),
        (["one", "two"], "", "", "2: sso.realm_file: 2 realms are in 'realm.json'; expected realm ="
                                 " one of ['one', 'two']"),
        (["one", "two"], "realm = 'three'\n", "", "3: sso.realm: no realm 'three' is in"
                         " 'realm.json'; expected realm = one of ['one', 'two']"),
    ],
)  # fmt: skip
def test_a_whole_servers_export_has_one_realm_for_the_recipe(
    folder: Path, realms: list[str], choice: str, chosen: str, problem: str
) -> None:
    """An array of realms: the only one beside master, or the one that is named."""
    (folder / "realm.json").write_text(json.dumps([{"realm": name} for name in realms]))
    text = f"[sso]\nrealm_file = 'realm.json'\n{choice}"
    if problem:
        assert faults(folder, text) == [problem]
        return
    (folder / "warminfra.toml").write_text(text)
    assert read_recipe(folder).realm == {"realm": chosen}


@pytest.mark.parametrize("name", ["../outside.json", "/etc/hostname", "link.json", "absent.json"])
def test_a_realm_file_stays_in_the_recipe(folder: Path, name: str) -> None:
    """No path and no link takes a file from elsewhere on the machine."""
    (folder.parent / "outside.json").write_text("{}")
    (folder / "link.json").symlink_to("../outside.json")
    found = faults(folder, f"[sso]\nrealm_file = '{name}'\n")
    assert len(found) == 1
    assert "a file in the recipe's folder" in found[0]


def test_broken_toml_gives_its_own_line(folder: Path) -> None:
    """A syntax error is told with the line where it stands."""
    assert faults(folder, "[sso]\nadmin = true\nprovider = \n")[0].startswith("3: broken TOML: ")


def test_what_is_not_there_is_not_found(folder: Path) -> None:
    """A missing folder is 66, and so is one with nothing in it; what deploys something is a recipe
    without settings too, and keeps no pool unless it says so."""
    with pytest.raises(NotFound) as caught:
        read_recipe(folder / "nowhere")
    assert caught.value.exit_code == 66
    with pytest.raises(NotFound, match=r"neither warminfra\.toml nor"):
        read_recipe(folder)
    (folder / "compose.yml").write_text("services: {}\n")
    assert read_recipe(folder).pool_max == 0
    (folder / "warminfra.toml").write_text("[weight]\ncpu = 1.0\n")
    assert read_recipe(folder).pool_max == 0
    (folder / "warminfra.toml").write_text("[pool]\nmin = 1\n")
    assert (read_recipe(folder).pool_min, read_recipe(folder).pool_max) == (1, None)


def test_a_name_that_cannot_stand_in_a_client_id_is_refused(tmp_path: Path) -> None:
    """A recipe's name is its folder's, in lower case without spaces."""
    odd = tmp_path / "My App"
    odd.mkdir()
    with pytest.raises(Usage):
        read_recipe(odd)


def test_the_stand_in_is_a_good_recipe() -> None:
    """The testbed's relying party reads as it should."""
    recipe = read_recipe(Path(__file__).parents[2] / "testbed" / "recipes" / "lasuite-docs")
    assert [user.username for user in recipe.users] == ["alice", "bob"]
    assert recipe.client.redirect_uris == ("http://{domain}/*", "https://{domain}/*")
