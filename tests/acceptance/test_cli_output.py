"""What the command prints, where, and with which exit code."""

from __future__ import annotations

import json
import shlex
import stat
from pathlib import Path

import pytest

from tests.command import Home, new_home
from tests.fake_service import (
    CLIENT_SECRET,
    HANDLE,
    LEASE,
    PASSWORD,
    STATUS,
    FakeService,
    problem,
)
from warminfra.cli.commands import COMMANDS

SECRETS = (HANDLE, CLIENT_SECRET, PASSWORD)
HELD = {"WARMINFRA_LEASE_ID": LEASE, "WARMINFRA_LEASE_HANDLE": HANDLE}


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_every_help_ends_with_an_example(home: Home, command: object) -> None:
    """`--help` of every command works without a service and ends with an example."""
    name = command.name  # type: ignore[attr-defined]
    ran = home.run(*name.split(), "--help")
    assert ran.returncode == 0, ran.stderr
    example = ran.stdout.rstrip().splitlines()[-1].strip()
    assert example.startswith(f"warminfra {name}")


def test_version(home: Home) -> None:
    """`--version` names the version."""
    ran = home.run("--version")
    assert (ran.returncode, ran.stdout) == (0, "warminfra 0.1.0\n")


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("lase",), 2, "'lease'"),
        (("lease",), 2, "--recipe"),
        (("lease", "--recipe", "docs", "--ttl", "soon"), 2, "'soon'"),
        (("renew", LEASE), 2, "WARMINFRA_LEASE_HANDLE"),
        (("renew",), 2, "WARMINFRA_LEASE_ID"),
        (("--set", "pool.mni=3", "leases"), 78, "pool.min"),
        (("--set", "pool.min", "leases"), 2, "KEY=VALUE"),
        (("--set", "sharing.policy=never", "leases"), 78, "policy"),
        (("status",), 69, "warminfra up"),
        (("enroll", "nowhere"), 66, "nowhere"),
        (("exec", "--recipe", "docs", "--", "true"), 125, "warminfra up"),
        (("exec", "--", "true"), 125, "--recipe"),
        (("unenroll", "docs"), 69, "warminfra up"),
    ],
)
def test_an_error_is_one_line_with_a_remedy(
    home: Home, arguments: tuple[str, ...], code: int, words: str
) -> None:
    """What is wrong is one line on stderr, nothing on stdout, and the contract's exit code."""
    ran = home.run(*arguments)
    assert ran.returncode == code, ran.stderr
    assert ran.stdout == ""
    assert ran.stderr.startswith("warminfra: ")
    assert ran.stderr.count("\n") == 1
    assert words in ran.stderr


def test_a_bug_is_one_line_and_a_traceback_on_demand(home: Home, service: FakeService) -> None:
    """An answer that makes no sense ends in 70 and one line; WARMINFRA_DEBUG=1 shows more."""
    service.script["GET", "/v1/status"] = [(200, {"schema": "x"})]
    ran = home.run("status")
    assert (ran.returncode, ran.stderr.count("\n")) == (70, 1)
    assert "Traceback" in home.run("status", extra={"WARMINFRA_DEBUG": "1"}).stderr


@pytest.mark.parametrize(
    ("status", "code", "exit_code"),
    [
        (404, "not_found", 66),
        (403, "sharing_refused", 77),
        (410, "lease_lost", 74),
        (507, "storage_full", 73),
        (409, "conflict", 79),
        (422, "recipe_invalid", 65),
        (400, "usage", 2),
        (500, "internal", 70),
    ],
)
def test_the_services_refusals_keep_their_exit_code(
    home: Home, service: FakeService, status: int, code: str, exit_code: int
) -> None:
    """The service's reason and remedy reach the user with the exit code of their kind."""
    service.script["POST", "/v1/leases"] = [problem(status, code)]
    ran = home.run("lease", "--recipe", "docs")
    assert (ran.returncode, ran.stdout) == (exit_code, "")
    assert ran.stderr == "warminfra: it went wrong (mend it)\n"


def test_a_recipes_faults_are_told_all_at_once(home: Home) -> None:
    """`enroll` of a broken recipe names every fault with its line, one a line."""
    folder = home.path / "docs"
    folder.mkdir()
    (folder / "warminfra.toml").write_text("[sso]\nprovder = 'x'\nadmin = 3\n")
    ran = home.run("enroll", "docs")
    assert ran.returncode == 65
    assert len(ran.stderr.splitlines()) >= 2
    assert all(line.startswith("warminfra: ") for line in ran.stderr.splitlines())
    assert "warminfra.toml:2" in ran.stderr
    assert "warminfra.toml:3" in ran.stderr


def test_a_lease_is_one_document(home: Home, service: FakeService) -> None:
    """Off a terminal `lease` prints the document as JSON and nothing else."""
    ran = home.run(
        "lease", "--recipe", "docs", "--run", "r1", "--ttl", "30m", "--domain", "d.example"
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert json.loads(ran.stdout)["client"]["secret"] == CLIENT_SECRET
    ((_, _, wish, _),) = service.asked("POST", "/v1/leases")
    assert (wish["run"], wish["ttl_s"], wish["domain"]) == ("r1", 1800, "d.example")
    assert len(wish["key"]) == 32


def test_an_env_lease_is_read_back_by_a_shell(home: Home, service: FakeService) -> None:
    """`-o env` quotes for a shell and names the lease and its handle."""
    ran = home.run("lease", "--recipe", "docs", "-o", "env")
    values = dict(line.split("=", 1) for line in shlex.split(ran.stdout))
    assert values["ODD"] == "a 'b"
    assert (values["WARMINFRA_LEASE_ID"], values["WARMINFRA_LEASE_HANDLE"]) == (LEASE, HANDLE)


def test_a_lease_in_a_file_is_private(home: Home, service: FakeService) -> None:
    """`--to FILE` makes a file of mode 0600, prints nothing, and leaves no part behind."""
    ran = home.run("lease", "--recipe", "docs", "--to", "lease.json", extra={"CI": "true"})
    file = home.path / "lease.json"
    assert (ran.returncode, ran.stdout) == (0, "")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert json.loads(file.read_text())["handle"] == HANDLE
    assert not [path for path in home.path.iterdir() if path.name.endswith(".part")]


def test_a_lease_that_cannot_be_written_is_given_back(home: Home, service: FakeService) -> None:
    """When the file cannot be written, the lease is released: nobody would have its handle."""
    ran = home.run("lease", "--recipe", "docs", "--to", "no/such/folder/lease.json")
    assert ran.returncode == 73
    assert service.asked("DELETE", f"/v1/leases/{LEASE}")


@pytest.mark.parametrize("variable", ["CI", "GITHUB_ACTIONS", "GITLAB_CI", "DRONE"])
@pytest.mark.parametrize("form", ["human", "json", "env"])
def test_no_secret_is_printed_into_a_ci_log(
    home: Home, service: FakeService, variable: str, form: str
) -> None:
    """In a CI `lease` refuses to print secrets, before anything is leased, unless --reveal."""
    ran = home.run("lease", "--recipe", "docs", "-o", form, extra={variable: "true"})
    assert ran.returncode == 2
    assert not service.requests
    assert not any(secret in ran.stdout + ran.stderr for secret in SECRETS)
    ran = home.run("lease", "--recipe", "docs", "-o", form, "--reveal", extra={variable: "true"})
    assert CLIENT_SECRET in ran.stdout


@pytest.mark.parametrize("form", ["human", "json", "env"])
def test_show_masks_secrets(home: Home, service: FakeService, form: str) -> None:
    """`show` masks every secret wherever it stands, unless --reveal."""
    ran = home.run("show", "-o", form, extra=HELD)
    assert ran.returncode == 0, ran.stderr
    assert not any(secret in ran.stdout for secret in SECRETS)
    assert "docs-x" in ran.stdout
    assert CLIENT_SECRET in home.run("show", "-o", form, "--reveal", extra=HELD).stdout


def test_github_gets_masks_and_files(home: Home, service: FakeService) -> None:
    """`-o github` masks each secret in the log and hands the environment to the next steps."""
    env, out = home.path / "env", home.path / "out"
    files = {"GITHUB_ENV": str(env), "GITHUB_OUTPUT": str(out), "GITHUB_ACTIONS": "true"}
    ran = home.run("lease", "--recipe", "docs", "-o", "github", extra=files)
    assert ran.returncode == 0, ran.stderr
    assert set(ran.stdout.splitlines()) == {f"::add-mask::{s}" for s in SECRETS}
    assert f"\n{CLIENT_SECRET}\n" in env.read_text()
    assert "WARMINFRA_LEASE_HANDLE<<" in env.read_text()
    assert f"\n{LEASE}\n" in out.read_text()
    assert home.run("lease", "--recipe", "docs", "-o", "github").returncode == 2


@pytest.mark.parametrize("verb", [("lease", "--recipe", "docs"), ("show",)])
def test_what_is_revealed_in_github_is_masked_first(
    home: Home, service: FakeService, verb: tuple[str, ...]
) -> None:
    """With --reveal the masks are on stderr, which the runner reads too; stdout stays data."""
    extra = {"GITHUB_ACTIONS": "true", **HELD}
    ran = home.run(*verb, "-o", "json", "--reveal", extra=extra)
    assert json.loads(ran.stdout)["client"]["secret"] == CLIENT_SECRET
    assert set(ran.stderr.splitlines()) == {f"::add-mask::{secret}" for secret in SECRETS}


@pytest.mark.parametrize("variable", ["GITLAB_CI", "DRONE", "CI"])
def test_other_cis_are_shown_no_masks(home: Home, service: FakeService, variable: str) -> None:
    """Where nobody hides a mask's line it would show the secret: none is printed, and a lease in a
    file leaves nothing in the log."""
    extra = {variable: "true", **HELD}
    assert "add-mask" not in home.run("lease", "--recipe", "docs", "--reveal", extra=extra).stderr
    ran = home.run("lease", "--recipe", "docs", "-o", "env", "--to", "lease.env", extra=extra)
    assert (ran.returncode, ran.stdout, ran.stderr) == (0, "", "")
    assert CLIENT_SECRET in (home.path / "lease.env").read_text()


def test_a_github_lease_may_go_into_a_file(home: Home, service: FakeService) -> None:
    """`-o github --to FILE`: masked in the log, in GitHub's form in a private file."""
    ran = home.run("lease", "--recipe", "docs", "-o", "github", "--to", "lease.github")
    assert set(ran.stdout.splitlines()) == {f"::add-mask::{secret}" for secret in SECRETS}
    file = home.path / "lease.github"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert f"\n{CLIENT_SECRET}\n" in file.read_text()


def test_a_file_is_replaced_whole_and_through_no_link(home: Home, service: FakeService) -> None:
    """An older file of that name, open to all or a link to elsewhere, is replaced, not followed."""
    other = home.path / "somebody-elses"
    other.write_text("untouched")
    (home.path / "lease.json").symlink_to(other)
    assert home.run("lease", "--recipe", "docs", "--to", "lease.json").returncode == 0
    assert other.read_text() == "untouched"
    assert not (home.path / "lease.json").is_symlink()
    assert stat.S_IMODE((home.path / "lease.json").stat().st_mode) == 0o600


def test_the_holder_verbs(home: Home, service: FakeService) -> None:
    """renew, set-domain and release take the lease from the environment or a handle file."""
    assert home.run("renew", "--ttl", "10m", extra=HELD).returncode == 0
    assert home.run("set-domain", "new.example", extra=HELD).returncode == 0
    (home.path / "lease.json").write_text(json.dumps({"handle": HANDLE}))
    ran = home.run("release", LEASE, "--handle-file", "lease.json", "--wait", "-o", "json")
    assert json.loads(ran.stdout)["tenant"] == "gone", ran.stderr
    assert service.asked("POST", f"/v1/leases/{LEASE}/renew")[0][2:] == ({"ttl_s": 600.0}, HANDLE)
    assert service.asked("PUT", f"/v1/leases/{LEASE}/domain")[0][2] == {"domain": "new.example"}
    assert service.asked("DELETE", f"/v1/leases/{LEASE}")[0][3] == HANDLE


def test_renewing_a_lost_lease_is_74(home: Home, service: FakeService) -> None:
    """A holder learns by exit code 74 that its lease has ended."""
    service.script["POST", f"/v1/leases/{LEASE}/renew"] = [problem(410, "lease_lost")]
    assert home.run("renew", extra=HELD).returncode == 74


def test_status_tells_the_mode_and_its_reason_first(home: Home, service: FakeService) -> None:
    """`status` begins with the mode and why, tells warnings, instances, pools and quarantine."""
    ran = home.run("status")
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("mode: shared, because policy unproven (docs)")
    for words in ("warning: nothing is proven", "kc-1", "1–2", "quarantine: 1"):
        assert words in ran.stdout
    assert json.loads(home.run("status", "-o", "json").stdout) == STATUS


def test_enroll_tells_what_was_left_out(home: Home, service: FakeService) -> None:
    """`enroll` sends the folder's absolute path and tells what was taken out of a realm file."""
    folder = home.path / "docs"
    folder.mkdir()
    (folder / "warminfra.toml").write_text("[sso]\n[[sso.users]]\nusername = 'alice'\n")
    ran = home.run("enroll", "docs", "--pool-min", "1")
    assert ran.returncode == 0, ran.stderr
    assert "keys" in ran.stderr
    sent = service.asked("PUT", "/v1/recipes/docs")[0][2]
    assert Path(sent["path"]) == folder.resolve()
    assert sent["pool_min"] == 1


@pytest.mark.parametrize(
    ("arguments", "request_made"),
    [
        (("unenroll", "docs"), ("DELETE", "/v1/recipes/docs")),
        (("quarantine", "force", LEASE), ("POST", f"/v1/quarantine/{LEASE}/force")),
        (("down", "--purge"), ("POST", "/v1/shutdown")),
    ],
)
def test_destructive_verbs_ask(
    home: Home, service: FakeService, arguments: tuple[str, ...], request_made: tuple[str, str]
) -> None:
    """A destructive verb refuses off a terminal without --yes, and --dry-run only tells."""
    refused = home.run(*arguments)
    assert (refused.returncode, refused.stderr.count("\n")) == (2, 1)
    assert "--yes" in refused.stderr
    told = home.run(*arguments, "--dry-run")
    assert told.returncode == 0
    assert told.stdout.startswith("would ")
    assert not service.asked(*request_made)


def test_quarantine_and_review_reach_the_admin_socket(home: Home, service: FakeService) -> None:
    """quarantine, approve, revert, lift and revoke are admin verbs and say what they did."""
    assert LEASE in home.run("quarantine", "ls").stdout
    told = home.run("quarantine").stdout
    assert LEASE in told
    assert "docs-ci-17" in told
    assert set(json.loads(home.run("quarantine", "ls", "-o", "json").stdout)) == {
        *("schema", "tenants", "stacks")
    }
    assert home.run("quarantine", "retry").stdout == "1 teardowns are tried again\n"
    assert home.run("quarantine", "force", LEASE, "--yes").returncode == 0
    assert home.run("approve", "v1", "--by", "eve").returncode == 0
    assert home.run("revert", "--why", "saw it", "--by", "eve").returncode == 0
    assert home.run("lift").stdout == "1 reverts are lifted\n"
    assert service.asked("POST", "/v1/revert")[0][2] == {"by": "eve", "why": "saw it"}
    ended = home.run("revoke", LEASE, "--why", "its pipeline is gone", "--by", "eve")
    assert ended.stdout == f"lease {LEASE} is revoked, its tenant gone\n"


def test_config_show_names_origins(home: Home) -> None:
    """`config show` tells each value with its origin, and masks secrets."""
    home.configure('[keycloak]\nadmin_password = "hush-hush"\n')
    ran = home.run("--set", "pool.min=1", "config", "show", "-o", "json")
    settings = json.loads(ran.stdout)["settings"]
    assert settings["pool.min"] == {"value": "1", "origin": "flag"}
    assert settings["pool.max"]["origin"] == "default"
    assert settings["keycloak.admin_password"]["origin"].endswith("config.toml:2")
    assert "hush-hush" not in ran.stdout


def test_doctor_says_what_to_do(home: Home, service: FakeService) -> None:
    """`doctor` has one line a check, a remedy for what is not well, and code 1 on a failure."""
    ran = home.run("doctor")
    assert ran.returncode == 0, ran.stdout
    assert all(line.split()[0] in {"ok", "warn", "fail"} for line in ran.stdout.splitlines())
    (home.runtime_dir / "admin.sock").chmod(0o666)
    ran = home.run("doctor")
    assert ran.returncode == 1
    assert "chmod 600" in ran.stdout
    assert home.run("--set", "pool.mni=1", "doctor").returncode == 1


@pytest.mark.parametrize(
    ("words", "completed"),
    [("warminfra lease --recipe d", "docs"), ("warminfra renew abc", LEASE)],
)
def test_completion_knows_recipes_and_leases(
    home: Home, service: FakeService, words: str, completed: str
) -> None:
    """The shell completes names of recipes and ids of leases; without a service it is silent."""
    asked = {
        "_WARMINFRA_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    assert home.run(extra=asked).stdout.split() == [completed]
    with new_home() as bare:
        ran = bare.run(extra=asked)
        assert (ran.stdout.strip(), ran.stderr) == ("", "")
