"""Reads the golden frames: one folder a profile, one file a case."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

FOLDER = Path(__file__).parent / "frames"


@dataclass(frozen=True)
class Case:
    profile: str
    name: str
    content: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.profile}/{self.name}"

    @property
    def is_stream(self) -> bool:
        return "bytes" in self.content or "text" in self.content

    @property
    def stream(self) -> bytes:
        if "text" in self.content:
            return self.content["text"].encode("latin-1")
        return bytes.fromhex(self.content["bytes"])


def cases() -> list[Case]:
    yaml = YAML(typ="safe", pure=True)
    return [
        Case(path.parent.name, path.stem, yaml.load(path.read_text(encoding="utf-8")))
        for path in sorted(FOLDER.glob("*/*.yaml"))
    ]


def crc16(data: bytes) -> bytes:
    """The Modbus CRC, written here once more on purpose."""
    crc = 0xFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0xA001 if crc & 1 else crc >> 1
    return crc.to_bytes(2, "little")
