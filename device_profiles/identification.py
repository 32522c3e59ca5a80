"""Registers that identify the model of a device when a bus is scanned."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from device_profiles.registers import Order, Table

_LENGTHS = {"uint16": 1, "int16": 1, "uint32": 2, "int32": 2, "float32": 2}


class Identification(BaseModel):
    """One register (or a text in several) and its value in this model.

    ``type`` text has two characters in a register, ``text_low`` one, in the low byte. A number is
    compared after ``mask``; ``equals`` may list alternatives; ``between`` is a range.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    table: Literal[Table.HOLDING, Table.INPUT] = Table.HOLDING
    address: int = Field(ge=0, le=65535)
    type: Literal["uint16", "int16", "uint32", "int32", "float32", "text", "text_low"] = "uint16"
    length: int | None = Field(default=None, ge=1, le=125)
    word_order: Order = Order.BIG
    mask: int | None = Field(default=None, ge=1)
    equals: int | float | str | tuple[int | float | str, ...] | None = None
    between: tuple[float, float] | None = None

    @model_validator(mode="after")
    def _says_what_it_holds(self) -> Self:
        if (self.equals is None) == (self.between is None):
            raise ValueError("say what the register holds: either equals or between")
        if self.is_text and self.length is None:
            raise ValueError("a text needs its length in registers")
        if self.is_text and not all(isinstance(a, str) for a in self.alternatives):
            raise ValueError("a text is compared with text")
        return self

    @property
    def is_text(self) -> bool:
        """True if the registers hold text."""
        return self.type.startswith("text")

    @property
    def register_count(self) -> int:
        """The number of registers to read."""
        return self.length or _LENGTHS[self.type]

    @property
    def alternatives(self) -> tuple[int | float | str, ...]:
        """The accepted values."""
        if self.equals is None:
            return ()
        return self.equals if isinstance(self.equals, tuple) else (self.equals,)
