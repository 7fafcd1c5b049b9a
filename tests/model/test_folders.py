"""Models beside the package's: found by name for encoding, by content for decoding."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from stpcodec.errors import ModelError
from stpcodec.model.folders import ENVIRONMENT, find_named, find_sha256, model_folders, models_in, user_folder


def weights(folder: Path, name: str, content: bytes) -> Path:
    """Not weights that load, but named as such."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}-{hashlib.sha256(content).hexdigest()[:8]}.safetensors"
    path.write_bytes(content)
    return path


def test_the_order_of_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENVIRONMENT, os.pathsep.join([str(tmp_path / "b"), "", str(tmp_path / "c")]))
    assert model_folders(tmp_path / "a") == [tmp_path / name for name in "abc"] + [user_folder()]
    assert model_folders(tmp_path / "c") == [tmp_path / "c", tmp_path / "b", user_folder()], "none twice"
    monkeypatch.delenv(ENVIRONMENT)
    assert model_folders() == [user_folder()]


def test_the_users_folder_follows_the_platform(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert user_folder() == tmp_path / "stpcodec/models"
    monkeypatch.setenv("XDG_DATA_HOME", "")
    assert user_folder() == Path.home() / ".local/share/stpcodec/models"


def test_by_name_and_by_name_with_digits(tmp_path: Path) -> None:
    path = weights(tmp_path, "my-yard", b"one")
    assert find_named("my-yard", [tmp_path / "missing", tmp_path]) == path
    assert find_named(path.stem, [tmp_path]) == path
    assert find_named("my", [tmp_path]) is None
    assert find_named("yard", [tmp_path]) is None


def test_one_name_for_several_weights_is_refused(tmp_path: Path) -> None:
    one, two = weights(tmp_path, "mine", b"one"), weights(tmp_path, "mine", b"two")
    with pytest.raises(ModelError, match="there are several of this name") as caught:
        find_named("mine", [tmp_path])
    assert one.stem in str(caught.value)
    assert two.stem in str(caught.value)
    assert find_named(two.stem, [tmp_path]) == two


def test_copies_of_one_model_are_one_model(tmp_path: Path) -> None:
    first = weights(tmp_path / "a", "mine", b"one")
    weights(tmp_path / "b", "mine", b"one")
    assert find_named("mine", [tmp_path / "a", tmp_path / "b"]) == first
    assert list(models_in([tmp_path / "a", tmp_path / "b"])) == ["mine"]


def test_by_content_whatever_it_is_called(tmp_path: Path) -> None:
    digest = hashlib.sha256(b"one").hexdigest()
    weights(tmp_path, "other", b"other")
    (tmp_path / f"damaged-{digest[:8]}.safetensors").write_bytes(b"no longer what its name says")
    assert find_sha256(digest, [tmp_path]) is None
    renamed = tmp_path / "renamed.safetensors"
    renamed.write_bytes(b"one")
    assert find_sha256(digest, [tmp_path]) == renamed
    assert find_sha256("../" * 20, [tmp_path]) is None


def test_folders_inside_and_unreadable_files_are_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "folder.safetensors").mkdir()
    path = weights(tmp_path, "mine", b"one")

    def refuse(path: Path) -> bytes:
        raise PermissionError(13, "Permission denied", str(path))

    monkeypatch.setattr(Path, "read_bytes", refuse)
    assert find_sha256(hashlib.sha256(b"one").hexdigest(), [tmp_path]) is None
    assert find_named("mine", [tmp_path]) == path
