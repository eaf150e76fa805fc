"""Runs the printed CI snippets as their CI would: their steps' commands, one shell a step.

What a CI fills in (secrets, its own variables) is filled in here; what only a CI has (checkout,
runners) is left out.
"""

from __future__ import annotations

import re
import subprocess
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

KEY = "a-secret-of-the-repository"
BUILD = "the-number-of-the-build"
"""Stands for a number that each build has for itself."""
CI_VARIABLES = {
    "github": {"GITHUB_ACTIONS": "true", "CI": "true"},
    "gitlab": {
        "GITLAB_CI": "true",
        "CI": "true",
        "CI_PROJECT_PATH": "group/app",
        "CI_JOB_ID": BUILD,
    },
    "drone": {"DRONE": "true", "CI": "true", "DRONE_REPO": "org/app", "DRONE_BUILD_NUMBER": BUILD},
    "woodpecker": {"CI": "woodpecker", "CI_REPO": "org/app", "CI_PIPELINE_NUMBER": BUILD},
}
_EXPRESSIONS = {
    "github.repository": "org/app",
    "github.run_id": BUILD,
    "github.run_attempt": "1",
    "secrets.WARMINFRA_KEY": KEY,
}


@dataclass(frozen=True)
class Step:
    """One step: its script, its own environment, and whether it runs after a failure."""

    script: str
    environment: Mapping[str, str]
    always: bool


@dataclass(frozen=True)
class Ran:
    """How a pipeline went: the code of its first failed step, and its log."""

    code: int
    log: str


def steps(kind: str, text: str) -> list[Step]:
    """Return the steps of a snippet. Raises KeyError if it is not of the form that its CI takes."""
    document: dict[str, Any] = yaml.safe_load(text)
    if kind == "github":
        (job,) = document["jobs"].values()
        shared = {name: _filled(value) for name, value in job["env"].items()}
        return [
            Step(step["run"], shared, step.get("if") == "always()")
            for step in job["steps"]
            if "run" in step
        ]
    if kind == "gitlab":
        job = document["sso"]
        shared = {name: _expanded(value) for name, value in job["variables"].items()}
        shared["WARMINFRA_KEY"] = KEY
        scripts = (("script", False), ("after_script", True))
        return [Step("\n".join(job[name]), shared, always) for name, always in scripts]
    return [
        Step(
            "\n".join(step["commands"]),
            {name: _secret(value) for name, value in step["environment"].items()},
            "failure" in str(step.get("when", "")),
        )
        for step in document["steps"]
    ]


def run(kind: str, text: str, workspace: Path, environment: Mapping[str, str]) -> Ran:
    """Run the steps in order; after a failed one only those that are for that."""
    number = uuid.uuid4().hex
    handed: dict[str, str] = {}
    env_file = workspace / "github-env"
    code, log = 0, ""
    for step in steps(kind, text):
        if code and not step.always:
            continue
        env_file.write_text("")
        own = {"GITHUB_ENV": str(env_file)} if kind == "github" else {}
        ci = {
            name: value.replace(BUILD, number)
            for name, value in {**CI_VARIABLES[kind], **step.environment}.items()
        }
        ran = subprocess.run(
            ["bash", "-e", "-c", step.script],
            cwd=workspace,
            env={**environment, **ci, **own, **handed},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        handed |= _handed(env_file.read_text())
        code, log = code or ran.returncode, log + ran.stdout
    return Ran(code, log)


def _handed(text: str) -> dict[str, str]:
    """Return what a step gives to those after it, in GitHub's form."""
    found = re.findall(r"^(\w+)<<(\S+)\n(.*?)\n\2$", text, re.DOTALL | re.MULTILINE)
    return {name: value for name, _, value in found}


def _filled(value: str) -> str:
    return re.sub(r"\$\{\{ (\S+) \}\}", lambda match: _EXPRESSIONS[match[1]], str(value))


def _expanded(value: str) -> str:
    return re.sub(r"\$(\w+)", lambda match: CI_VARIABLES["gitlab"][match[1]], value)


def _secret(value: Any) -> str:
    return KEY if value == {"from_secret": "warminfra_key"} else str(value)
