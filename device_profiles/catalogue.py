"""The library of profiles that comes with Quantrac, and profiles that people write themselves."""

import difflib
from functools import cache
from pathlib import Path

from device_profiles.profile import Profile
from telemetry.yaml_files import read_yaml_file

FOLDER = Path(__file__).parent / "library"


class ProfileNotFound(Exception):  # noqa: N818  # named by what went wrong for the user
    """No profile of this name or path; ``near`` are ids like the one asked for."""

    def __init__(self, ref: str, near: list[str]) -> None:
        hint = f"; did you mean {' or '.join(near)}?" if near else ""
        super().__init__(f"no device profile {ref!r}{hint} (see quantrac profiles list)")
        self.ref = ref
        self.near = near


@cache
def _files() -> dict[str, Path]:
    return {path.stem: path for path in sorted(FOLDER.glob("*/*.yaml"), key=lambda p: p.stem)}


def ids() -> list[str]:
    """The ids of the library, in alphabetical order."""
    return list(_files())


def path(profile_id: str) -> Path:
    """The file of a profile of the library; ProfileNotFound with near matches."""
    try:
        return _files()[profile_id]
    except KeyError:
        near = difflib.get_close_matches(profile_id, ids(), n=3, cutoff=0.4)
        raise ProfileNotFound(profile_id, near) from None


@cache
def load(profile_id: str) -> Profile:
    """A profile of the library; ProfileNotFound, or YamlFileError if its file is wrong."""
    return read_yaml_file(path(profile_id), Profile)


def load_profile(ref: str, base: Path | None = None) -> Profile:
    """The profile ``ref`` names: an id of the library, or the path of a profile file.

    A path holds a slash or ends in ``.yaml`` or ``.yml``; it is relative to ``base``.
    """
    if "/" not in ref and not ref.endswith((".yaml", ".yml")):
        return load(ref)
    file = (base or Path()) / ref
    if not file.is_file():
        raise ProfileNotFound(str(file), [])
    return read_yaml_file(file, Profile)
