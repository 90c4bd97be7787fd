"""Records of many jobs in a few values: written in groups, read again where they were let go."""

from __future__ import annotations

import threading

import pytest

from airflow_provider_faceswap.batch.sharded_store import SHARD, SPARE, ShardedStore


class Store:
    """A store that counts, and may break or hold a write back."""

    def __init__(self) -> None:
        self.values: dict[str, dict] = {}
        self.reads: list[str] = []
        self.broken: Exception | None = None
        self.gate = threading.Event()
        self.gate.set()
        #: Set once a write is held back.
        self.held = threading.Event()

    def get(self, key, default=None):
        self.reads.append(key)
        if self.broken:
            raise self.broken
        return self.values.get(key, default)

    def set(self, key, value, **_):
        if not self.gate.is_set():
            self.held.set()
        self.gate.wait(10)
        if self.broken:
            raise self.broken
        self.values[key] = value


@pytest.fixture
def store():
    return Store()


@pytest.fixture(autouse=True)
def at_once(monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.batch.sharded_store.GAP", 0.0)
    monkeypatch.setattr("airflow_provider_faceswap.batch.write_queue.LATE", 0.0)


def fill(records, number, start=0):
    for n in range(start, start + number):
        records.set(f"job{n}", {"id": n})
        records.finish(f"job{n}", {"id": n, "end": "archived"})


def test_a_record_is_in_the_store_when_it_is_set(store):
    with ShardedStore(store, "k") as records:
        records.set("a", {"id": 1, "nothing": None})
        assert store.values == {"k.0": {"a": {"id": 1}}}


def test_final_values_are_written_with_the_next_change_of_their_shard(store, monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.batch.write_queue.LATE", 3600.0)
    written = []
    monkeypatch.setattr(store, "set", lambda key, value: written.append((key, dict(value))))
    with ShardedStore(store, "k") as records:
        for n in range(SHARD + 1):
            records.set(f"job{n}", {"id": n})
        before = len(written)
        for n in range(SHARD + 1):
            records.finish(f"job{n}", {"id": n, "end": "archived"})
        records.set("next", {"id": "next"})
        assert [key for key, _ in written[before:]] == ["k.1"]
        assert written[-1][1] == {
            f"job{SHARD}": {"id": SHARD, "end": "archived"},
            "next": {"id": "next"},
        }
    assert [key for key, _ in written[before:]] == ["k.1", "k.0"]
    assert all(record["end"] == "archived" for record in written[-1][1].values())


def test_a_final_value_is_written_soon_though_nothing_else_changes(store, monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.batch.write_queue.LATE", 0.01)
    written = threading.Event()
    with ShardedStore(store, "k") as records:
        records.set("a", {"id": 1})
        monkeypatch.setattr(store, "set", lambda *_: written.set())
        records.finish("a", {"id": 1, "end": "archived"})
        assert written.wait(10)


def test_records_stand_in_shards_of_a_bounded_size(store):
    with ShardedStore(store, "k") as records:
        fill(records, 2 * SHARD + 1)
    assert [len(store.values[f"k.{n}"]) for n in range(3)] == [SHARD, SHARD, 1]


def reads_of_all(store, records, shards):
    """How many shards had to be read again to see a record of each, the youngest first."""
    before = len(store.reads)
    for shard in reversed(range(shards)):
        assert records.get(f"job{shard * SHARD}") is not None
    return len(store.reads) - before


def test_what_is_over_is_not_held(store):
    with ShardedStore(store, "k") as records:
        fill(records, 20 * SHARD)
        # One may have been put last and not be written yet.
        assert reads_of_all(store, records, 20) >= 20 - (SPARE + 1)


def test_what_goes_on_is_held(store):
    with ShardedStore(store, "k") as records:
        for n in range(8 * SHARD):
            records.set(f"job{n}", {"id": n})
        assert reads_of_all(store, records, 8) == 0


def test_what_was_let_go_is_read_again(store):
    with ShardedStore(store, "k") as records:
        fill(records, 10 * SHARD)
        store.reads.clear()
        assert records.get("job0") == {"id": 0, "end": "archived"}
        assert store.reads == ["k.0"]
        assert records.get("job1") == {"id": 1, "end": "archived"}
        assert store.reads == ["k.0"], "it is held for a while"


def test_what_was_let_go_may_be_changed(store):
    with ShardedStore(store, "k") as records:
        fill(records, 10 * SHARD)
        records.set("job0", {"id": 0, "again": True})
        records.finish("job3", {"id": 3, "again": True})
    assert store.values["k.0"]["job0"] == {"id": 0, "again": True}
    assert store.values["k.0"]["job3"] == {"id": 3, "again": True}
    assert len(store.values["k.0"]) == SHARD


def test_a_shard_is_not_let_go_while_it_is_written(store):
    with ShardedStore(store, "k") as records:
        fill(records, 10 * SHARD)
        store.gate.clear()
        records.finish("job0", {"id": 0, "end": "changed"})
        # The writer holds shard 0 in its hands now, or will in a moment; others come and go meanwhile.
        for shard in range(1, 9):
            records.get(f"job{shard * SHARD}")
        assert records.get("job0") == {"id": 0, "end": "changed"}
        store.gate.set()
    assert store.values["k.0"]["job0"] == {"id": 0, "end": "changed"}


def test_a_second_try_finds_every_record_and_goes_on_behind_them(store):
    with ShardedStore(store, "k") as records:
        fill(records, 6 * SHARD + 5)
    with ShardedStore(store, "k") as records:
        assert [records.get(f"job{n}")["id"] for n in range(6 * SHARD + 5)] == list(range(6 * SHARD + 5))
        fill(records, SHARD, start=6 * SHARD + 5)
        assert reads_of_all(store, records, 7) >= 7 - (SPARE + 1)
    assert len(store.values["k.6"]) == SHARD
    assert len(store.values["k.7"]) == 5


def test_a_store_that_cannot_be_read_is_no_empty_one(store):
    with ShardedStore(store, "k") as records:
        fill(records, 10 * SHARD)
        store.broken = OSError("away")
        with pytest.raises(OSError, match="away"):
            records.get("job0")
        store.broken = None
    store.broken = OSError("away")
    with pytest.raises(OSError, match="away"), ShardedStore(store, "k"):
        pass


def test_a_record_that_cannot_be_written_stops_its_job(store):
    refused = []

    def buy():
        with ShardedStore(store, "k") as records:
            store.broken = OSError("away")
            with pytest.raises(OSError, match="away"):
                records.set("a", {})
            refused.append("a")

    with pytest.raises(OSError, match="away"):
        buy()
    assert refused == ["a"]


def test_what_many_change_at_once_is_written_together(store, monkeypatch):
    writes = []
    monkeypatch.setattr(store, "set", lambda key, value: (writes.append(key), Store.set(store, key, value)))
    with ShardedStore(store, "k") as records:
        store.gate.clear()
        threads = [threading.Thread(target=records.set, args=(f"job{n}", {"id": n})) for n in range(SHARD)]
        for thread in threads:
            thread.start()
        while any(records.get(f"job{n}") is None for n in range(SHARD)):
            threading.Event().wait(0.001)
        store.gate.set()
        for thread in threads:
            thread.join()
    assert len(writes) <= 3
    assert len(store.values["k.0"]) == SHARD


# -- a store that is away for a moment -----------------------------------------------------------------


def test_a_record_without_a_job_that_could_not_be_written_is_taken_back(store):
    with ShardedStore(store, "k") as records:
        records.set("a", {"id": 1})
        store.broken = OSError("away")
        for key in ("a", "b"):
            with pytest.raises(OSError, match="away"):
                records.set(key, {"stage": "intent"})
        store.broken = None
        assert (records.get("a"), records.get("b")) == ({"id": 1}, None)
        records.set("c", {"id": 3})
        assert store.values["k.0"] == {"a": {"id": 1}, "c": {"id": 3}}


def test_an_intent_of_a_write_that_failed_halfway_is_taken_out_of_the_store_again(store, monkeypatch):
    write = Store.set

    def away_for_the_second_shard(self, key, value):
        if key == "k.1" and not self.broken:
            self.broken = OSError("away")
        write(self, key, value)

    monkeypatch.setattr(Store, "set", away_for_the_second_shard)
    with ShardedStore(store, "k") as records:
        fill(records, SHARD - 1)
        store.gate.clear()
        records.finish("job0", {"id": 0, "changed": True})
        # The next write takes both intents only if the writer is busy with this one.
        assert store.held.wait(10)
        refused = []

        def buy(key):
            try:
                records.set(key, {"stage": "intent"})
            except OSError:
                refused.append(key)

        threads = [threading.Thread(target=buy, args=(key,)) for key in ("a", "b")]
        for thread in threads:
            thread.start()
        while records.get("a") is None or records.get("b") is None:
            threading.Event().wait(0.001)
        store.gate.set()
        for thread in threads:
            thread.join()
        store.broken = None
        monkeypatch.setattr(Store, "set", write)
    assert sorted(refused) == ["a", "b"]
    assert set(store.values["k.0"]) == {f"job{n}" for n in range(SHARD - 1)}
    assert not store.values.get("k.1")


def test_a_job_whose_id_could_not_be_written_goes_with_the_next_write(store):
    with ShardedStore(store, "k") as records:
        store.broken = OSError("away")
        with pytest.raises(OSError, match="away"):
            records.set("a", {"job_id": "bought"})
        assert not records.is_written
        store.broken = None
        records.set("b", {"id": 2})
        assert store.values["k.0"] == {"a": {"job_id": "bought"}, "b": {"id": 2}}


def test_the_end_writes_once_more_what_could_not_be_written(store):
    with ShardedStore(store, "k") as records:
        store.broken = OSError("away")
        with pytest.raises(OSError, match="away"):
            records.set("a", {"job_id": "bought"})
        store.broken = None
    assert records.is_written
    assert store.values["k.0"] == {"a": {"job_id": "bought"}}


def test_a_record_that_comes_after_the_end_is_written_by_whoever_brings_it(store):
    with ShardedStore(store, "k") as records:
        pass
    records.set("a", {"job_id": "late"})
    assert store.values["k.0"] == {"a": {"job_id": "late"}}
    store.broken = OSError("away")
    with pytest.raises(OSError, match="away"):
        records.set("b", {"job_id": "later"})


def test_two_records_that_come_after_the_end_do_not_overwrite_each_other(store, monkeypatch):
    with ShardedStore(store, "k") as records:
        records.set("a", {"stage": "intent"})
        records.set("b", {"stage": "intent"})
    write = Store.set
    first = threading.Thread(target=records.set, args=("a", {"job_id": "job a"}))
    begun, overtaken = threading.Event(), threading.Event()

    def bring_the_second():
        records.set("b", {"job_id": "job b"})
        overtaken.set()

    second = threading.Thread(target=bring_the_second)

    def slow_for_the_first(self, key, value):
        if threading.current_thread() is first:
            begun.set()
            # A second write that does not wait for this one ends here.
            overtaken.wait(0.5)
        write(self, key, value)

    monkeypatch.setattr(Store, "set", slow_for_the_first)
    first.start()
    assert begun.wait(10)
    second.start()
    first.join(10)
    second.join(10)
    assert store.values["k.0"] == {"a": {"job_id": "job a"}, "b": {"job_id": "job b"}}


def test_a_store_that_hangs_at_the_end_is_said(store, monkeypatch):
    monkeypatch.setattr("airflow_provider_faceswap.batch.sharded_store.LAST_WRITE_TIMEOUT", 0.01)

    def left():
        with ShardedStore(store, "k") as records:
            store.gate.clear()
            records.finish("a", {})

    with pytest.raises(TimeoutError, match="does not respond"):
        left()
    store.gate.set()
