"""Which gateways belong to which of several workers; the same on every machine and in every run."""

import hashlib
from dataclasses import dataclass, field

from telemetry.sparkplug.topics import NAMESPACE

KNOWN_TOPICS = 200_000


@dataclass(slots=True)
class Shard:
    """Worker ``number`` (from 1) of ``count``; the only worker takes everything."""

    number: int = 1
    count: int = 1
    _topics: dict[str, bool] = field(default_factory=dict)

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Read ``2/3``; ValueError says what is wrong."""
        number, slash, count = text.partition("/")
        if not (slash and number.isdigit() and count.isdigit()):
            raise ValueError(f"{text!r}: write which of how many, such as 2/3")
        shard = cls(int(number), int(count))
        if not 1 <= shard.number <= shard.count <= 1024:
            raise ValueError(f"{text!r}: the first number lies between 1 and the second")
        return shard

    @property
    def name(self) -> str:
        """The name of this worker's own files and tables; '' if it is the only worker."""
        return "" if self.count == 1 else f"shard_{self.number}_of_{self.count}"

    def owns(self, key: str) -> bool:
        """Whether ``key`` (group/gateway, or the topic of a mapped message) belongs to this worker."""
        digest = hashlib.blake2b(key.encode(), digest_size=8).digest()
        return int.from_bytes(digest, "big") % self.count == self.number - 1

    def takes(self, topic: str) -> bool:
        """Whether messages on ``topic`` belong to this worker."""
        if self.count == 1:
            return True
        known = self._topics.get(topic)
        if known is None:
            if len(self._topics) >= KNOWN_TOPICS:
                self._topics.clear()
            known = self._topics[topic] = self.owns(_key(topic))
        return known


def _key(topic: str) -> str:
    parts = topic.split("/")
    if parts[0] == NAMESPACE and len(parts) > 3:
        return f"{parts[1]}/{parts[3]}"
    return topic
