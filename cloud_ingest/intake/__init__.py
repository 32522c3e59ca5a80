"""From MQTT messages to samples in columns, with births, deaths and acknowledgement."""
