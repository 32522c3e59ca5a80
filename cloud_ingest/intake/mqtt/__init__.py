"""MQTT: the host's connection, the embedded broker, and the queue between network and pipeline."""
