"""Loads device profiles: those of the library and those in files of the user."""

import difflib
from functools import cache
from pathlib import Path

from device_profiles.profile import Profile
from telemetry.yaml_files import read_yaml_file

FOLDER = Path(__file__).parent / "library"


class ProfileNotFound(Exception):  # noqa: N818  # named by what went wrong for the user
    """No profile has this id or path; ``similar`` holds similar ids."""

    def __init__(self, ref: str, similar: list[str], file: Path | None = None) -> None:
        hint = f"; did you mean {' or '.join(similar)}?" if similar else ""
        super().__init__(
            f"there is no file {file}"
            if file is not None
            else f"no device profile {ref!r}{hint} (see quantrac profiles list)"
        )
        self.ref = ref
        self.similar = similar


@cache
def _files() -> dict[str, Path]:
    return {path.stem: path for path in sorted(FOLDER.glob("*/*.yaml"), key=lambda p: p.stem)}


def ids() -> list[str]:
    """The ids of the library, in alphabetical order."""
    return list(_files())


def path(profile_id: str) -> Path:
    """The file of a profile of the library; raises ProfileNotFound."""
    try:
        return _files()[profile_id]
    except KeyError:
        similar = difflib.get_close_matches(profile_id, ids(), n=3, cutoff=0.4)
        raise ProfileNotFound(profile_id, similar) from None


@cache
def load(profile_id: str) -> Profile:
    """A profile of the library; raises ProfileNotFound, or YamlFileError if the file is invalid."""
    return read_yaml_file(path(profile_id), Profile)


def load_profile(ref: str, base: Path | None = None) -> Profile:
    """The profile that ``ref`` names: an id of the library, or the path of a file.

    A path contains a slash or ends in ``.yaml`` or ``.yml``; it is relative to ``base``. Raises
    ProfileNotFound or YamlFileError.
    """
    if "/" not in ref and not ref.endswith((".yaml", ".yml")):
        return load(ref)
    file = (base or Path()) / ref
    if not file.is_file():
        raise ProfileNotFound(ref, [], file)
    return read_yaml_file(file, Profile)
