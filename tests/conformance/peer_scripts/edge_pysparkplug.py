"""pysparkplug as an edge node: one device, 300 values. Run by its own Python: PORT."""

import sys
import time

from pysparkplug import DataType, Device, EdgeNode, Metric


def metric(value: float) -> Metric:
    return Metric(
        timestamp=int(time.time() * 1000), name="co2", datatype=DataType.DOUBLE, value=value
    )


node = EdgeNode("peers", "py-node", [])
node.register(Device("meter", [metric(0.5)]))
node.connect("127.0.0.1", port=int(sys.argv[1]))
time.sleep(1)
for i in range(300):
    node.update_device("meter", [metric(1.0 + i)])
    time.sleep(0.003)
time.sleep(1)
node.disconnect()
time.sleep(0.5)
