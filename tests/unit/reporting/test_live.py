"""The stream that tells browsers that something changed."""

from __future__ import annotations

import pytest

from services.reporting.live import Live, TooManyClients


def test_a_listener_gets_the_stamp_at_once_and_then_each_new_one() -> None:
    live = Live()
    live.tell(7)
    stream = live.listen()
    assert next(stream).startswith("retry: ")
    assert next(stream) == "id: 7\nevent: stamp\ndata: 7\n\n"
    live.tell(9)
    assert "data: 9\n" in next(stream)


def test_a_slow_listener_gets_the_latest_stamp_only() -> None:
    live = Live()
    stream = live.listen()
    next(stream)
    for stamp in (1, 2, 3):
        live.tell(stamp)
    assert "data: 3\n" in next(stream)


def test_the_same_stamp_again_is_no_news() -> None:
    live = Live(heartbeat=0.01)
    assert live.tell(4)
    assert not live.tell(4)
    stream = live.listen()
    assert ["data: 4" in next(stream) for _ in range(3)] == [False, True, False]


def test_a_silent_stream_beats_and_ends_by_itself_in_the_end() -> None:
    live = Live(heartbeat=0.001)
    texts = list(live.listen())
    assert texts[2] == ": heartbeat\n\n"
    assert len(texts) < 130


def test_a_listener_too_many_is_refused_and_a_place_that_was_left_is_free_again() -> None:
    live = Live(limit=1)
    first = live.listen()
    with pytest.raises(TooManyClients):
        live.listen()
    first.close()
    first.close()
    assert live.clients == 0
    live.listen()
    assert live.clients == 1


def test_closing_ends_every_stream() -> None:
    live = Live()
    stream = live.listen()
    next(stream)
    live.close()
    assert list(stream) == []
