"""The scenario library of Quantrac."""

import difflib
from pathlib import Path

from telemetry.yaml_files import FileProblem, YamlFileError

LIBRARY = Path(__file__).parents[1] / "library"


def scenario_names() -> list[str]:
    """The names of the scenarios of the library."""
    return sorted(p.stem for p in LIBRARY.glob("*.yaml"))


def find_scenario(reference: str) -> Path:
    """The file of a scenario: a path, or a name of the library.

    Raises YamlFileError with similar names if there is none.
    """
    path = Path(reference)
    if path.suffix in (".yaml", ".yml") or "/" in reference:
        return path
    inside = LIBRARY / f"{reference}.yaml"
    if inside.is_file():
        return inside
    names = scenario_names()
    near = difflib.get_close_matches(reference, names, n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names)}"
    raise YamlFileError([FileProblem(reference, 0, "", f"no scenario of this name; {hint}")])
