"""How long frames take on a serial line (Modbus over Serial Line V1.02, section 2.5.1.1)."""

from dataclasses import dataclass

from edge_agent.acquisition.modbus.read_plan import Read

REQUEST_BYTES = 8
REPLY_OVERHEAD_BYTES = 5
FAST_GAP_S = 0.00175
"""The silence between frames above 19,200 baud, where 3.5 characters would be too short."""


@dataclass(frozen=True, slots=True)
class LineTiming:
    """A serial line's speed. ``bits`` is the length of a character with start, parity and stop."""

    baudrate: int
    bits: int = 10

    @classmethod
    def of(cls, baudrate: int, bytesize: int, parity: str, stopbits: int) -> "LineTiming":
        """The timing of a line with these settings."""
        return cls(baudrate, 1 + bytesize + (parity != "N") + stopbits)

    @property
    def character_s(self) -> float:
        """Seconds for one character."""
        return self.bits / self.baudrate

    @property
    def gap_s(self) -> float:
        """The silence that ends a frame: 3.5 characters, 1.75 ms above 19,200 baud."""
        return FAST_GAP_S if self.baudrate > 19200 else 3.5 * self.character_s

    def read_s(self, read: Read) -> float:
        """Seconds on the wire for a read: request, silence, reply, silence."""
        characters = REQUEST_BYTES + REPLY_OVERHEAD_BYTES + read.reply_bytes
        return characters * self.character_s + 2 * self.gap_s
