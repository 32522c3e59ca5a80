"""What is sent when: live first, the backlog behind it, what was lost again, until all is confirmed."""

import itertools
import random

from hypothesis import given, settings
from hypothesis import strategies as st

from edge_agent.uplink.delivery import FIRST_RETRY_S, MAX_WINDOW, Delivery


class World:
    """A gateway, a lossy line and a host that stores ``rate`` reports a second, by a made-up clock."""

    def __init__(self, seed: int, backlog: int, rate: float, loss: float) -> None:
        self.random = random.Random(seed)
        self.now = 100.0
        self.delivery = Delivery(1, backlog + 1, self.now)
        self.rate, self.loss = rate, loss
        self.line: list[tuple[float, int]] = []
        self.acks: list[tuple[float, int]] = []
        self.stored: set[int] = set()
        self.through = 0
        self.arrivals: dict[int, int] = {}
        self.live_delay: list[float] = []
        self.free_at = 0.0
        self.measured: dict[int, float] = {}

    def send(self, batch: int) -> None:
        if self.random.random() >= self.loss:
            self.free_at = max(self.free_at, self.now) + 1 / self.rate
            self.line.append((self.free_at + 0.05, batch))

    def measure(self) -> None:
        batch = self.delivery.next_batch
        assert self.delivery.is_new(batch)
        self.measured[batch] = self.now
        self.send(batch)
        self.delivery.sent_live(batch, self.now)

    def step(self, seconds: float = 0.05) -> None:
        self.now += seconds
        d = self.delivery
        while (wanted := d.plan()) is not None:
            after, samples = wanted
            batches = [n for n in range(after + 1, after + 1 + samples) if n in d.unsent][:50]
            for batch in batches:
                self.send(batch)
            d.sent_backlog(batches, len(batches) * 20, self.now)
        arrived = [b for t, b in self.line if t <= self.now]
        self.line = [(t, b) for t, b in self.line if t > self.now]
        for batch in arrived:
            self.arrivals[batch] = self.arrivals.get(batch, 0) + 1
            self.stored.add(batch)
            if batch in self.measured:
                self.live_delay.append(self.now - self.measured.pop(batch))
        while self.through + 1 in self.stored:
            self.through += 1
        if arrived and self.random.random() >= self.loss:
            self.acks.append((self.now + 0.05, self.through))
        for _, ack in [a for a in self.acks if a[0] <= self.now]:
            d.acknowledged(ack, self.now)
        self.acks = [a for a in self.acks if a[0] > self.now]
        d.tick(self.now)


@given(st.integers(0, 10**6), st.integers(0, 400), st.sampled_from([0.0, 0.02, 0.3]))
@settings(max_examples=40, deadline=None)
def test_everything_is_confirmed_in_the_end_whatever_is_lost(
    seed: int, backlog: int, loss: float
) -> None:
    world = World(seed, backlog, rate=2000, loss=loss)
    for i in range(100):
        if i % 4 == 0:
            world.measure()
        world.step()
    steps = 0
    while world.delivery.confirmed < world.delivery.next_batch - 1:
        world.step(0.25)
        steps += 1
        assert steps < 40_000, "with 30 % loss a retry may be lost many times in a row"
    assert world.stored == set(range(1, world.delivery.next_batch))


def test_nothing_is_sent_twice_where_nothing_is_lost() -> None:
    world = World(1, 20_000, rate=5000, loss=0.0)
    while world.delivery.confirmed < world.delivery.next_batch - 1 or world.now < 110:
        if world.random.random() < 0.3:
            world.measure()
        world.step()
        assert world.now < 200
    assert set(world.arrivals.values()) == {1}
    assert world.delivery.retries == 0


def test_live_reports_do_not_queue_behind_the_backlog_of_a_slow_host() -> None:
    world = World(2, 40_000, rate=400, loss=0.0)
    while world.delivery.confirmed < 30_000:
        world.measure()
        world.step(0.5)
    late = world.live_delay[40:]
    assert max(late) < 2.0
    assert sum(late) / len(late) < 1.2


def test_the_window_opens_for_a_fast_host() -> None:
    world = World(3, 60_000, rate=100_000, loss=0.0)
    start = world.now
    while world.delivery.confirmed < 60_000:
        world.step()
    assert world.now - start < 30
    assert world.delivery.window > MAX_WINDOW / 16


def test_the_faster_the_host_the_sooner_the_window_is_open() -> None:
    world = World(4, 100_000, rate=400_000, loss=0.0)
    start = world.now
    while world.delivery.window < MAX_WINDOW:
        world.step(0.02)
    assert world.now - start < 1.5


def test_a_silent_host_is_asked_again_ever_more_rarely() -> None:
    delivery = Delivery(1, 2, 0.0)
    sent = []
    for second in range(700):
        wanted = delivery.plan()
        if wanted is not None and 1 in delivery.unsent:
            delivery.sent_backlog([1], 20, float(second))
            sent.append(second)
        delivery.tick(float(second))
    pauses = [b - a for a, b in itertools.pairwise(sent)]
    assert pauses[0] <= FIRST_RETRY_S + 1
    assert all(later >= 1.8 * earlier for earlier, later in itertools.pairwise(pauses))
    assert max(pauses) <= 301


def test_one_lost_live_report_is_sent_again_alone() -> None:
    delivery = Delivery(1, 1, 0.0)
    for batch in range(1, 21):
        delivery.is_new(batch)
        delivery.sent_live(batch, batch * 0.1)
    delivery.acknowledged(9, 2.5)  # 10 is missing, 11 to 20 wait behind it at the host
    delivery.acknowledged(9, 4.0)
    assert delivery.unsent.ranges() == [(10, 10)]
    delivery.sent_backlog([10], 20, 4.1)
    delivery.acknowledged(20, 4.3)
    assert not delivery.unsent
    assert not delivery.is_waiting


def test_what_the_outbox_gave_up_is_not_waited_for() -> None:
    delivery = Delivery(1, 101, 0.0)
    delivery.sent_backlog([1, 2, 3], 60, 0.0)
    assert delivery.evicted(50, 1.0)
    assert delivery.confirmed == 49
    assert delivery.unsent.ranges() == [(50, 100)]
    assert delivery.in_flight == 0
    assert not delivery.evicted(50, 2.0)


def test_a_confirmation_of_what_was_never_measured_is_ignored() -> None:
    delivery = Delivery(1, 5, 0.0)
    assert not delivery.acknowledged(5, 1.0)
    assert delivery.confirmed == 0
    assert delivery.acknowledged(4, 2.0), "an earlier session may have sent it"
    assert delivery.acknowledged(4, 3.0), "said again, it is no news and no refusal"
