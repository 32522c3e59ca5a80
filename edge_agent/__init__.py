"""The edge: reads devices on their buses, keeps samples until the cloud has them, sends them on."""
