"""A notifier that is added as one file, the example of the README, takes the addresses of its scheme."""

import importlib
import re
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

import cloud_ingest.notification
from alert_rules.rule import Severity
from cloud_ingest.notification import NotifierError, channels, notifiers
from cloud_ingest.notification.cli import app
from cloud_ingest.notification.finding import factories
from cloud_ingest.notification.notifiers.apprise import AppriseNotifier

README = Path(cloud_ingest.notification.__file__).parent / "README.md"
SIREN = """
class Siren:
    works, sounded = True, 0

    def sound(self):
        self.sounded += self.works
        return self.works


sirens = {"gate": Siren()}
"""


@pytest.fixture
def add(tmp_path, monkeypatch):
    """Adds a file to the folder of notifiers, and gives the module that it became."""
    monkeypatch.setattr(notifiers, "__path__", [*notifiers.__path__, str(tmp_path)])
    added = []

    def one(name, text):
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        added.append(name)
        importlib.invalidate_caches()
        factories.cache_clear()
        return importlib.import_module(f"cloud_ingest.notification.notifiers.{name}")

    yield one
    factories.cache_clear()
    for name in added:
        sys.modules.pop(f"cloud_ingest.notification.notifiers.{name}", None)
        vars(notifiers).pop(name, None)


@pytest.fixture
def siren(add):
    """The siren at the gate, with the notifier of the README."""
    [code] = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), re.DOTALL)
    return add("siren", SIREN + code).sirens["gate"]


def test_its_scheme_leads_to_it_and_other_schemes_to_apprise(siren):
    at_gate, hook = channels(["siren://gate", "json://localhost/hook"])
    assert isinstance(hook.notifier, AppriseNotifier)
    assert (at_gate.name, at_gate.as_json()["service"]) == ("siren-1", "siren")
    at_gate.notifier.send("a", "b", Severity.WARNING)
    assert siren.sounded == 0
    at_gate.notifier.send("a", "b", Severity.CRITICAL)
    assert siren.sounded == 1
    siren.works = False
    with pytest.raises(NotifierError, match="does not answer"):
        at_gate.notifier.send("a", "b", Severity.CRITICAL)


@pytest.mark.usefixtures("siren")
def test_notify_test_knows_it():
    result = CliRunner().invoke(app, ["siren://gate"])
    assert (result.exit_code, result.output) == (0, "siren-1: sent\n")
    result = CliRunner().invoke(app, ["siren://roof"])
    assert result.exit_code == 2
    assert "there is no siren 'roof'" in result.output


@pytest.mark.usefixtures("siren")
def test_two_notifiers_of_one_scheme_are_refused(add):
    add("whistle", 'SCHEMES = ("siren",)\nnew_notifier = None\n')
    with pytest.raises(ValueError, match="two notifiers take siren:, one of them is whistle"):
        channels(["siren://gate"])
