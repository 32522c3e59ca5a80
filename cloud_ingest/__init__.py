"""The cloud: intake, quality, stores, detection, alerts, notification, API, web page."""
