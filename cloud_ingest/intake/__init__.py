"""Intake: MQTT messages become samples, births, deaths, ledger entries and acknowledgements."""
