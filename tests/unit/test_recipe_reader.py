"""A Co-op Cloud recipe is read as it is in the wild."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest

from tests.recipe_folder import APP, SAMPLE, recipe, service
from warminfra.core.errors import RecipeInvalid
from warminfra.recipes.compose import read_version
from warminfra.recipes.model import BackupForm, RecipeVersion


def read(folder: Path, env: str | None = None, **options: str) -> RecipeVersion:
    """Read with our own merging; the engine's is compared with it elsewhere."""
    return read_version(folder, shown="r", env=env, by_engine=False, **options)


def problems(folder: Path, env: str | None = None) -> list[str]:
    with pytest.raises(RecipeInvalid) as caught:
        read(folder, env)
    return list(caught.value.problems)


def warnings(version: RecipeVersion) -> list[str]:
    return [str(warning) for warning in version.warnings]


def test_a_plain_recipe(tmp_path: Path) -> None:
    """Version, services, images and time-out are told, and nothing is odd."""
    text = APP + '        - "coop-cloud.${STACK_NAME}.timeout=${TIMEOUT:-120}"\n'
    found = read(recipe(tmp_path, compose=text))
    assert found.version == "1.0.0+1.22.1"
    assert found.timeout == timedelta(seconds=120)
    assert found.references() == ("nginx:1.22.1",)
    assert not found.images[0].floating
    assert (found.warnings, found.collisions) == ((), ())


def test_overlays_are_chosen_by_a_variable_that_uses_itself(tmp_path: Path) -> None:
    """`COMPOSE_FILE="$COMPOSE_FILE:…"` adds a file, of a subfolder too; the later file wins."""
    folder = recipe(
        tmp_path,
        env=SAMPLE
        + 'COMPOSE_FILE="compose.yml"\n'
        + 'COMPOSE_FILE="$COMPOSE_FILE:compose.db.yml"\n'
        + 'COMPOSE_FILE="$COMPOSE_FILE:sub/compose.extra.yml"\n'
        + '#COMPOSE_FILE="$COMPOSE_FILE:compose.mail.yml"\n',
        compose__db='version: "3.8"\nservices:\n  db:\n    image: postgres:15\n',
        compose__mail='version: "3.8"\nservices:\n  mail:\n    image: postfix\n',
        sub___compose__extra='version: "3.8"\nservices:\n  app:\n    image: nginx:1.23\n',
    )
    found = read(folder)
    assert found.compose_files == ("compose.yml", "compose.db.yml", "sub/compose.extra.yml")
    assert {name: each.image for name, each in found.services.items()} == {
        "app": "nginx:1.23",
        "db": "postgres:15",
    }
    uses = {(use.overlay, use.reference): use.chosen for use in found.images}
    assert uses == {
        ("compose.yml", "nginx:1.22.1"): False,
        ("compose.db.yml", "postgres:15"): True,
        ("sub/compose.extra.yml", "nginx:1.23"): True,
        ("compose.mail.yml", "postfix"): False,
    }
    assert found.references(chosen_only=True) == ("postgres:15", "nginx:1.23")
    assert [use.reference for use in found.images if use.floating] == ["postfix"]


def test_the_apps_own_environment_wins_over_the_sample(tmp_path: Path) -> None:
    """Defaults, required values, and `$$` are as the engine has them; nothing is nested."""
    body = (
        "environment:\n"
        '  A: "${A:-none}"\n'
        '  B: "${B-none}"\n'
        '  C: "$$HOME ${C:?say it}"\n'
        'labels: {a: "${A:-none}", b: "${B-none}", c: "$$HOME $C", d: "${D:-${E}}"}\n'
    )
    found = read(recipe(tmp_path, compose=service(body)), env="A=\nB=\nC=c\n")
    labels = found.services["app"].container_labels
    assert labels == {"a": "none", "b": "", "c": "$HOME c", "d": "${E}"}
    assert found.services["app"].environment == {"A", "B", "C"}


def test_what_is_required_and_not_set_cannot_work(tmp_path: Path) -> None:
    """All such places are told at once, with file and line."""
    folder = recipe(tmp_path, compose=service('user: "${U:?no user}"\nhostname: "${H"\n'))
    assert problems(folder) == [
        "r/compose.yml:5: U is not set: no user",
        "r/compose.yml:6: a $ that begins no variable; write $$ for a $",
    ]


def test_anchors_and_merge_keys(tmp_path: Path) -> None:
    """A service's own keys win over those that are merged in."""
    text = (
        'version: "3.8"\n'
        "x-base: &base\n  image: nginx:1\n  labels: &labels {a: '1', b: '1'}\n"
        "services:\n"
        "  app:\n    <<: *base\n    labels:\n      <<: *labels\n      b: '2'\n"
        "  other: *base\n"
    )
    found = read(recipe(tmp_path, compose=text))
    assert found.services["app"].image == found.services["other"].image == "nginx:1"
    assert found.services["app"].container_labels == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("labels", "note"),
    [
        ("  - coop-cloud.${STACK_NAME}.version=1.0.0+2\n", ""),
        ("  coop-cloud.${STACK_NAME}.version: 1.0.0+2\n", ""),
        ("  - coop-cloud.${STACK_NAME}.version=\n", "r/compose.yml:7: the version label is empty"),
        ("  - coop-cloud.${STACK_NAME}.version=5\n", "r/compose.yml:7: '5' is not <recipe>+<app>"),
        (
            "  - other=1\n",
            "r/compose.yml:3: no service carries a label coop-cloud.….version",
        ),
    ],
)
def test_version_labels_in_every_form(tmp_path: Path, labels: str, note: str) -> None:
    """As a list or a mapping; an empty, odd or missing one is a warning."""
    folder = recipe(tmp_path, compose=service(f"deploy:\n  labels:\n  {labels}"))
    found = read(folder)
    assert warnings(found) == ([note] if note else [])
    if not note:
        assert found.version == "1.0.0+2"


def test_secrets_carry_their_hints(tmp_path: Path) -> None:
    """Length, charset and `generate=false` come from the comment; one without _VERSION is odd."""
    folder = recipe(
        tmp_path,
        env=SAMPLE
        + "SECRET_DB_PASSWORD_VERSION=v1 # length=32 charset=hex\n"
        + "SECRET_SMTP_VERSION=v2 # generate=false\n"
        + "SECRET_JWT=v3\n",
        compose=service(
            "secrets: [db_password, smtp, jwt]",
            secrets="  db_password:\n    external: true\n"
            "    name: ${STACK_NAME}_db_password_${SECRET_DB_PASSWORD_VERSION}\n"
            "  smtp:\n    external: {name: '${STACK_NAME}_smtp_${SECRET_SMTP_VERSION}'}\n"
            "  jwt:\n    external: true\n    name: ${STACK_NAME}_jwt_${SECRET_JWT}",
        ),
    )
    found = read(folder, stack="mine")
    told = {
        name: (need.full_name, need.version, need.length, need.charset, need.generate)
        for name, need in found.secrets.items()
    }
    assert told == {
        "db_password": ("mine_db_password_v1", "v1", 32, "hex", True),
        "smtp": ("mine_smtp_v2", "v2", None, "", False),
        "jwt": ("mine_jwt_v3", "v3", None, "", True),
    }
    assert "r/compose.yml:12: secret jwt: SECRET_JWT lacks _VERSION in its name" in warnings(found)


def test_configs_take_their_versions_from_abra_sh(tmp_path: Path) -> None:
    """`export X_VERSION=v3` counts; what only a shell could tell is a warning; nothing is run."""
    folder = recipe(
        tmp_path,
        abra="#!/bin/bash\nexport ENTRY_VERSION=v3\nexport DAY_VERSION=$(date)\n"
        f"touch {tmp_path}/ran\nhelper() {{\n  local X_VERSION=v9\n}}\n",
        compose=service(
            "configs: [{source: entry, target: /entry}]",
            configs="  entry:\n    name: ${STACK_NAME}_entry_${ENTRY_VERSION}\n"
            "    file: entry.sh.tmpl\n    template_driver: golang",
        ),
    )
    (folder / "entry.sh.tmpl").write_text("exec true\n")
    found = read(folder, stack="mine")
    entry = found.configs["entry"]
    assert (entry.full_name, entry.version, entry.file) == ("mine_entry_v3", "v3", "entry.sh.tmpl")
    assert "r/abra.sh:3: DAY_VERSION is worked out by a shell; it is empty here" in warnings(found)
    assert not (tmp_path / "ran").exists()


def test_backup_labels_of_both_forms(tmp_path: Path) -> None:
    """Paths with hooks (v1), volumes with paths (v2), on several services; others are odd."""
    text = (
        'version: "3.8"\nservices:\n'
        "  app:\n    image: a:1\n    deploy:\n      labels:\n"
        '        - "backupbot.backup=true"\n'
        '        - "backupbot.backup.path=/data, /more"\n'
        '        - "backupbot.backup.pre-hook=dump"\n'
        '        - "backupbot.backup.command=dump"\n'
        "  db:\n    image: b:1\n    deploy:\n      labels:\n"
        '        backupbot.backup: "${ENABLE_BACKUPS:-true}"\n'
        "        backupbot.backup.pre-hook: /pg_backup.sh backup\n"
        "        backupbot.backup.volumes.db.path: backup.sql\n"
        '        backupbot.backup.volumes.cache: "false"\n'
        "        backupbot.restore.post-hook: /pg_backup.sh restore\n"
    )
    found = read(recipe(tmp_path, compose=text))
    app, db = found.backups
    assert (app.form, app.paths, app.pre_hook) == (BackupForm.V1, ("/data", "/more"), "dump")
    assert db.form is BackupForm.V2
    assert db.volumes == {"db": "backup.sql", "cache": "false"}
    assert db.restore_post_hook == "/pg_backup.sh restore"
    assert app.enabled
    assert db.enabled
    assert any(":10: backupbot.backup.command is no backup label" in w for w in warnings(found))


def test_everything_that_cannot_work_is_told_at_once(tmp_path: Path) -> None:
    """Misspelt keys, a file that is not there, undeclared names: one line for each, in order."""
    folder = recipe(
        tmp_path,
        env=SAMPLE + "COMPOSE_FILE=compose.yml:compose.d.yml\n",
        compose='version: "3.8"\nservices:\n  app:\n    imag: x\n    port: ["80"]\nvolume: {}\n',
        compose__db='version: "3.8"\nservices: {}\n',
    )
    assert problems(folder) == [
        "r/.env.sample:3: COMPOSE_FILE: compose.d.yml is not there; did you mean 'compose.db.yml'?",
        "r/compose.yml:4: service app: 'imag' is unknown; did you mean 'image'?",
        "r/compose.yml:5: service app: 'port' is unknown; did you mean 'ports'?",
        "r/compose.yml:6: 'volume' is unknown; did you mean 'volumes'?",
    ]


def test_what_is_used_must_be_declared(tmp_path: Path) -> None:
    """Secrets, configs, networks and volumes, and a config's file."""
    body = "secrets: [s]\nnetworks: [n]\nvolumes: ['v1:/v']\nconfigs: [gone]\n"
    folder = recipe(tmp_path, compose=service(body, configs="  gone: {file: ./gone.conf}"))
    assert problems(folder) == [
        "r/compose.yml:3: service app: network n is not declared",
        "r/compose.yml:3: service app: secrets s is not declared",
        "r/compose.yml:7: service app: volume v1 is not declared",
        "r/compose.yml:10: config gone: gone.conf is not there",
    ]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("services: [", "r/compose.yml:1: broken YAML"),
        ("a: 1\na: 2\n", "r/compose.yml:2: 'a' stands there twice"),
        ("- a\n", "r/compose.yml:1: not a mapping"),
        ("services:\n  app: &a {image: *a}\n", "r/compose.yml:2: an anchor that holds itself"),
        ("services: {}\n", "r/compose.yml:1: there are no services"),
        ("", "r/compose.yml:1: there are no services"),
        (
            "services:\n  app:\n    image: a\n    labels: {a: true}\n",
            'r/compose.yml:4: service app: a is no text or number; expected "true"',
        ),
        ("services:\n  app: {}\n", "r/compose.yml:2: service app has no image"),
        ("services:\n  app: {image: a, ports: [x]}\n", "r/compose.yml:2: service app: 'x' is no"),
    ],
)
def test_files_that_are_broken(tmp_path: Path, text: str, told: str) -> None:
    """Each is one line with its place, and never a traceback."""
    assert problems(recipe(tmp_path, compose=text))[0].startswith(told)


def test_files_of_different_schema_versions_do_not_merge(tmp_path: Path) -> None:
    """The engine refuses them, so we do; a file without a version counts as the newest."""
    folder = recipe(
        tmp_path,
        env=SAMPLE + "COMPOSE_FILE=compose.yml:compose.db.yml\n",
        compose__db="services:\n  db: {image: postgres:15}\n",
    )
    assert problems(folder)[0].startswith(
        "r/compose.db.yml:1: version 3.13 beside version 3.8 of compose.yml"
    )


def test_an_overlay_that_nobody_chose_may_be_broken(tmp_path: Path) -> None:
    """It is a warning: the app works without it."""
    found = read(recipe(tmp_path, compose__x="services: ["))
    assert len(found.warnings) == 1
    assert str(found.warnings[0]).startswith("r/compose.x.yml:1: not chosen, and it would not work")


def test_an_overlay_cannot_lead_out_of_the_recipe(tmp_path: Path) -> None:
    """A recipe names its own files only."""
    (tmp_path / "compose.yml").write_text(APP)
    folder = recipe(tmp_path / "r", env=SAMPLE + "COMPOSE_FILE=../compose.yml\n")
    assert problems(folder) == [
        "r/.env.sample:3: COMPOSE_FILE: '../compose.yml' leads out of the recipe"
    ]


def test_a_config_cannot_be_a_file_of_the_node(tmp_path: Path) -> None:
    """Neither by a path that leads out of the recipe, nor by a link."""
    configs = "  one: {file: ../passwd}\n  two: {file: /etc/passwd}\n  three: {file: ./link}"
    folder = recipe(tmp_path / "r", compose=service("configs: [one, two, three]", configs=configs))
    (folder / "link").symlink_to("/etc/passwd")
    assert problems(folder) == [
        f"r/compose.yml:{line}: config {name}: its file leads out of the recipe"
        for line, name in ((7, "one"), (8, "two"), (9, "three"))
    ]


def test_harmless_oddities_are_warnings(tmp_path: Path) -> None:
    """Keys that a stack passes over, unset variables, lines of no form."""
    folder = recipe(
        tmp_path,
        env=SAMPLE + "what is this\n",
        compose=service('restart: always\ndepends_on: [db]\nhostname: "$NOT_SET"\n'),
    )
    told = warnings(read(folder))
    assert "r/.env.sample:3: is no NAME=value, and is passed over" in told
    assert "r/compose.yml:5: service app: a stack passes restart over" in told
    assert "r/compose.yml:7: NOT_SET is not set, and is taken as empty" in told


def test_no_credential_is_ever_shown(tmp_path: Path) -> None:
    """Neither in a warning, nor in an error, nor in what was read; that there is one is told."""
    word = "hunter2-hunter2"
    body = (
        f"environment:\n  DB_PASSWORD: {word}\n  API_TOKEN: $API_TOKEN\n"
        f"  DSN: postgres://app:{word}@db/app\n  KEY_FILE: /run/secrets/key\n"
    )
    folder = recipe(tmp_path, compose=service(body))
    found = read(folder, env=f"API_TOKEN={word}\n")
    assert word not in repr(found)
    assert sum("is a credential in plain text" in line for line in warnings(found)) == 3
    broken = service(body + f'hostname: "${{H:?{word}}}"\n')
    assert word not in "\n".join(problems(recipe(tmp_path, compose=broken), f"API_TOKEN={word}\n"))
