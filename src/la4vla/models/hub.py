"""Policies on a hub: the folder that a policy is saved as, with a model card, up and down."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from huggingface_hub import HfApi

from la4vla.models.folders import whole_files
from la4vla.models.hub_access import reaching, snapshot
from la4vla.models.model_card import NAME, card, card_name

if TYPE_CHECKING:
    from la4vla.models.policy import Policy

P = TypeVar("P", bound="Policy")


def save_pretrained(policy: Policy, folder: str | Path, title: str | None = None) -> None:
    """Writes what :meth:`Policy.save` writes and ``README.md``, the model card.

    A ``README.md`` that is somebody else's stays; the card is ``MODEL_CARD.md`` then.

    Args:
        policy: What to save.
        folder: Where to; made if need be.
        title: Heading of the card and the name it tells people to load; the folder's where None.
    """
    policy.save(folder)
    there = Path(folder) / NAME
    name = card_name(there.read_text(encoding="utf-8", errors="replace") if there.is_file() else None)
    with whole_files(Path(folder), name) as scratch:
        (scratch / name).write_text(card(policy, title or str(folder)), encoding="utf-8")


def from_pretrained(cls: type[P], source: str | Path, revision: str | None = None, endpoint: str | None = None) -> P:
    """The policy of a local folder or of a hub repository; nothing of it is executed or unpickled.

    Args:
        cls: Class of the policy.
        source: A folder or a trainer's checkpoint that exists, else a repository's id, ``owner/name``.
        revision: Branch, tag or commit of a repository.
        endpoint: Address of another hub than huggingface.co.

    Raises:
        ValueError: If the folder, or what the repository holds, is no policy.
        OSError: If the repository cannot be reached or found.
    """
    if Path(source).exists():
        return cls.load(source)
    return cls.load(snapshot(str(source), revision=revision, endpoint=endpoint))


def push_to_hub(
    policy: Policy,
    repository: str,
    private: bool = True,
    message: str = "Policy of la4vla",
    token: str | None = None,
    endpoint: str | None = None,
) -> str:
    """Puts :func:`save_pretrained`'s folder into a repository, made if need be; files of an older policy there go.

    A ``README.md`` there that is somebody else's stays, as in a folder.

    Args:
        policy: What to publish.
        repository: ``owner/name``.
        private: Whether a repository made now is private.
        message: Commit message.
        token: Access token; None takes the one of ``hf auth login``.
        endpoint: Address of another hub than huggingface.co.

    Returns:
        Address of the commit.

    Raises:
        OSError: If the hub cannot be reached, or does not take it.
    """
    hub = HfApi(endpoint=endpoint, token=token)
    with tempfile.TemporaryDirectory() as scratch:
        with reaching(repository):
            hub.create_repo(repository, private=private, exist_ok=True)
            if NAME in hub.list_repo_files(repository):
                shutil.copy(hub.hf_hub_download(repository, NAME), scratch)
        save_pretrained(policy, scratch, repository)
        with reaching(repository):
            commit = hub.upload_folder(
                repo_id=repository,
                folder_path=scratch,
                commit_message=message,
                delete_patterns=["*.safetensors", "backbone/*"],
            )
    return str(commit.commit_url)
