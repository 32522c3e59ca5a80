"""What the agent has learned about its devices, in a small file beside the outbox."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog

from device_profiles.registers import Table
from edge_agent.acquisition.modbus.read_plan import Learned
from edge_agent.devices import Device

_log = structlog.get_logger()


def beside_outbox(outbox: Path, ending: str) -> Path:
    """A file of the agent beside its outbox: ``outbox.db.status.json``."""
    return outbox.with_name(f"{outbox.name}.{ending}.json")


def write_json(path: Path, value: Any) -> None:
    """Replace the file atomically."""
    new = path.with_name(path.name + ".new")
    new.write_text(json.dumps(value, ensure_ascii=False), encoding="utf-8")
    new.replace(path)


def read_json(path: Path) -> Any:
    """The content of the file; None if it does not exist or cannot be read."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        _log.warning("file_unreadable", file=str(path), problem=str(error))
        return None


@dataclass(slots=True)
class LearnedState:
    """Register holes and read boundaries by device, and the states of counters.

    ``changed``: save it soon.
    """

    path: Path
    learned: dict[str, Any]
    totals: dict[str, Any]
    changed: bool = False

    @classmethod
    def open(cls, path: Path) -> "LearnedState":
        """Read the file; empty if there is none."""
        value = read_json(path)
        kept = value if isinstance(value, dict) else {}
        learned, totals = kept.get("learned"), kept.get("totals")
        return cls(
            path,
            learned if isinstance(learned, dict) else {},
            totals if isinstance(totals, dict) else {},
        )

    def save(self) -> None:
        """Write the file, unless there is nothing to write."""
        self.changed = False
        if not self.learned and not self.totals:
            return
        try:
            write_json(self.path, {"learned": self.learned, "totals": self.totals})
        except OSError as error:
            _log.warning("learned_state_unwritable", file=str(self.path), problem=str(error))

    def recall(self, device: Device) -> Learned:
        """What this device has refused with this profile before."""
        entry = self.learned.get(_key(device))
        if not isinstance(entry, dict):
            return Learned()
        try:
            return Learned(_places(entry["holes"]), _places(entry["apart"]))
        except (KeyError, TypeError, ValueError):
            return Learned()

    def learn(self, device: Device, learned: Learned) -> None:
        """Remember where reads must be split. Absent metrics are requested again at each start."""
        self.learned[_key(device)] = {
            "holes": sorted([table.value, address] for table, address in learned.holes),
            "apart": sorted([table.value, address] for table, address in learned.apart),
        }
        self.changed = True


def _key(device: Device) -> str:
    return f"{device.bus}/{device.unit}/{device.profile.id}"


def _places(pairs: Iterable[Any]) -> frozenset[tuple[Table, int]]:
    return frozenset((Table(table), int(address)) for table, address in pairs)
