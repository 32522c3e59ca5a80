"""Finds a serial port by its path or by the identity of the USB adapter."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from serial.tools import list_ports

from edge_agent.acquisition.lines.line import BusUnavailable


@dataclass(frozen=True, slots=True)
class SerialPort:
    """A serial port of this machine; ``usb`` is VID:PID[:SERIAL] of a USB adapter."""

    path: str
    usb: str | None = None


def ports_here() -> list[SerialPort]:
    """The serial ports of this machine."""
    found = []
    for port in list_ports.comports():
        usb = None
        if port.vid is not None and port.pid is not None:
            usb = f"{port.vid:04X}:{port.pid:04X}" + (
                f":{port.serial_number}" if port.serial_number else ""
            )
        found.append(SerialPort(port.device, usb))
    return found


def find_port(wanted: str, ports: Iterable[SerialPort] | None = None) -> str:
    """The path of the port named in a configuration: a path, or ``usb:VID:PID[:SERIAL]``.

    ``ports`` replaces those of this machine in tests. Raises BusUnavailable if the port does not
    exist or several adapters fit.
    """
    if not wanted.startswith("usb:"):
        if not Path(wanted).exists():
            raise BusUnavailable(f"there is no port {wanted}{_ports_text(ports)}")
        return wanted
    vid_pid, _, serial = _parts(wanted)
    here = list(ports_here() if ports is None else ports)
    fitting = [p for p in here if p.usb and _fits(p.usb, vid_pid, serial)]
    if not fitting:
        raise BusUnavailable(f"no adapter {wanted} is plugged in{_ports_text(here)}")
    if len(fitting) > 1:
        names = ", ".join(f"{p.path} (usb:{p.usb})" for p in fitting)
        raise BusUnavailable(
            f"{len(fitting)} adapters fit {wanted}: {names}; add the serial number"
        )
    return fitting[0].path


def _parts(wanted: str) -> tuple[str, str, str]:
    vid, pid, *serial = wanted.removeprefix("usb:").split(":", 2)
    return f"{vid}:{pid}".upper(), ":", serial[0] if serial else ""


def _fits(usb: str, vid_pid: str, serial: str) -> bool:
    return usb[:9].upper() == vid_pid and (not serial or usb[10:].casefold() == serial.casefold())


def _ports_text(ports: Iterable[SerialPort] | None) -> str:
    here = list(ports_here() if ports is None else ports)
    if not here:
        return "; this machine has no serial port"
    return "; ports here: " + ", ".join(
        f"{p.path} (usb:{p.usb})" if p.usb else p.path for p in here
    )
