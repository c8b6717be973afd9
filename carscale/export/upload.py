"""Sending a folder to the Hugging Face hub."""

from __future__ import annotations

import shlex
from pathlib import Path

from carscale.errors import ConfigError, ModelError


def check_repo(name: str) -> None:
    """Raise unless a word is ``OWNER/NAME``.

    Raises:
        ConfigError: It is none.
    """
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]

    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise ConfigError(f"--push {name}: {error}", "give --push OWNER/NAME") from error
    if name.count("/") != 1:
        raise ConfigError(f"--push {name}: must be OWNER/NAME")


def push(folder: Path, name: str) -> str:
    """Send a folder to a model repository, which is made private if it is not there.

    Args:
        folder: What ``carscale export`` made.
        name: ``OWNER/NAME``.

    Returns:
        The address of the commit.

    Raises:
        ModelError: The hub refuses, or can't be reached; the folder stays.
    """
    from huggingface_hub import HfApi

    api = HfApi()
    try:
        api.create_repo(name, private=True, exist_ok=True)
        return str(api.upload_folder(folder_path=folder, repo_id=name).commit_url)
    except Exception as error:  # of the hub, of its HTTP client, of the network
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise ModelError(
            f"--push {name}: the hub took nothing: {first}",
            "check the network; or, where the hub asks who you are, log in: hf auth login",
            f"then send what lies here: hf upload {shlex.quote(name)} {shlex.quote(str(folder))}",
        ) from error
