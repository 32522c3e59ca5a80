"""Every setting of gateway.yaml and cloud.yaml is documented with its default."""

from enum import Enum
from typing import Any

import pytest
from pydantic import BaseModel

from cloud_ingest.configuration import CloudConfiguration
from edge_agent.configuration import GatewayConfiguration
from telemetry.time.durations import parse_duration_ms
from tests.docs.pages import DOCS, tables
from tests.docs.settings_of import settings_of


def same(written: str, default: Any) -> bool:
    """Whether the default that the page names is the one that the program takes."""
    text = written.strip("`")
    if default is None or default in ((), {}, ""):
        return text == "–"
    if isinstance(default, Enum):
        return text == default.value
    if isinstance(default, tuple):
        return text == ", ".join(default)
    if isinstance(default, int) and text[-1:].isalpha() and not isinstance(default, bool):
        return parse_duration_ms(text) == default
    return text == str(default)


@pytest.mark.parametrize(
    ("page", "model"), [("edge.md", GatewayConfiguration), ("cloud.md", CloudConfiguration)]
)
def test_each_setting_stands_in_its_page_with_its_default(
    page: str, model: type[BaseModel]
) -> None:
    written = {row[0].strip("`"): row[1] for row in tables(DOCS / page, "setting")}
    settings = dict(settings_of(model))
    assert sorted(written) == sorted(settings)
    wrong = {}
    for name, field in settings.items():
        default = field.get_default(call_default_factory=True)
        required = field.is_required()
        if (written[name] == "required") != required or not (
            required or same(written[name], default)
        ):
            wrong[name] = (written[name], default)
    assert wrong == {}
