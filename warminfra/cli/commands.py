"""The table of all commands: where each lives, and the example that ends its help.

A command's module is imported only when that command is called, or when all are listed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `name` has two words if it belongs to a group."""

    name: str
    module: str
    function: str
    example: str
    takes_rest: bool = False
    """All that follows the first argument belongs to another command."""

    @property
    def first_word(self) -> str:
        return self.name.split()[0]


COMMANDS: Sequence[Command] = (
    Command("up", "lifecycle", "up", "warminfra up --wait 10m"),
    Command("down", "lifecycle", "down", "warminfra down --purge --dry-run"),
    Command("serve", "lifecycle", "serve", "warminfra serve"),
    Command("status", "status", "status", "warminfra status -o json"),
    Command("doctor", "doctor", "doctor", "warminfra doctor reach --network proxy"),
    Command("enroll", "recipes", "enroll", "warminfra enroll lasuite-docs ./recipes/lasuite-docs"),
    Command("recipes", "recipes", "recipes", "warminfra recipes"),
    Command("unenroll", "recipes", "unenroll", "warminfra unenroll lasuite-docs --yes"),
    Command(
        "lease", "lease", "lease", "warminfra lease --recipe lasuite-docs -o env --to lease.env"
    ),
    Command("renew", "holder", "renew", "warminfra renew --ttl 10m"),
    Command("release", "release", "release", "warminfra release --handle-file lease.json --wait"),
    Command("show", "holder", "show", "warminfra show --reveal -o json"),
    Command("hold", "holder", "hold", "warminfra hold --handle-file lease.json --for 2h"),
    Command("set-domain", "holder", "set_domain", "warminfra set-domain docs.ci.example"),
    Command("attach", "holder", "attach", "warminfra attach --stack docs-ci-17"),
    Command("leases", "holder", "leases", "warminfra leases"),
    Command(
        "exec", "execute", "execute", "warminfra exec --recipe lasuite-docs -- pytest -x", True
    ),
    Command("quarantine ls", "quarantine", "ls", "warminfra quarantine ls"),
    Command("quarantine retry", "quarantine", "retry", "warminfra quarantine retry"),
    Command("quarantine force", "quarantine", "force", "warminfra quarantine force ID --dry-run"),
    Command("audit", "audit", "audit", "warminfra audit --profile smoke --report evidence"),
    Command("approve", "review", "approve", 'warminfra approve VERDICT --why "read the evidence"'),
    Command("revert", "review", "revert", 'warminfra revert --why "saw another run\'s user"'),
    Command("lift", "review", "lift", "warminfra lift"),
    Command("revoke", "review", "revoke", 'warminfra revoke ID --why "its pipeline is gone"'),
    Command("fingerprint", "fingerprint", "fingerprint", "warminfra fingerprint --explain"),
    Command("images ls", "images", "ls", "warminfra images ls"),
    Command("images lock", "images", "lock", "warminfra images lock --recipe n8n --update"),
    Command("images pull", "images", "pull", "warminfra images pull --recipe n8n"),
    Command("images verify", "images", "verify", "warminfra images verify --recipe n8n"),
    Command("images mirror", "mirror", "mirror", "warminfra images mirror start"),
    Command("images prune", "images", "prune", "warminfra images prune --dry-run"),
    Command("config show", "configuration", "show", "warminfra config show -o json"),
)

GROUPS = {
    "quarantine": "What could not be taken down: list it, try again, or declare it gone.",
    "images": "The warm image set: what recipes need, locked, here, and kept.",
    "config": "The settings in force.",
}

VALUE_OPTIONS = frozenset({"--set"})
"""Options before the command that take a value."""


def called(arguments: Sequence[str]) -> str:
    """Return the first word of `arguments` that is no option, or "" if there is none."""
    words: Iterator[str] = iter(arguments)
    for word in words:
        if word in VALUE_OPTIONS:
            next(words, None)
        elif not word.startswith("-"):
            return word
    return ""
