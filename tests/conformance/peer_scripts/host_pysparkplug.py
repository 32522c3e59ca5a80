"""pysparkplug as a host that reads one gateway: prints name, time and value. Run by its own Python: PORT COUNT."""

import sys
import time

from pysparkplug import Client, Message, MessageType, QoS, Topic

seen: list[float] = []


def note(_: Client, message: Message) -> None:
    for metric in getattr(message.payload, "metrics", ()):
        if isinstance(metric.value, float):
            print(metric.name, metric.timestamp, metric.value, flush=True)
            seen.append(metric.value)


client = Client()
for kind, device in (
    (MessageType.NBIRTH, None),
    (MessageType.DBIRTH, "d"),
    (MessageType.DDATA, "d"),
):
    topic = Topic(message_type=kind, group_id="g", edge_node_id="gw", device_id=device)
    client.subscribe(topic, QoS.AT_LEAST_ONCE, note)
client.connect("127.0.0.1", port=int(sys.argv[1]))
end = time.time() + 120
while len(seen) < int(sys.argv[2]) and time.time() < end:
    time.sleep(0.05)
client.disconnect()
