"""The RPC caller on a real broker: answers, refusals, time-outs, lost connections, threads, eventlet."""

from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import amqp
import orjson
import pytest

from deploy.local.broker import Broker
from services.chassis.caller import Caller
from services.contracts.errors import Conflict, InvalidPayload, NotAllowed, NotReady, to_wire

ROOT = Path(__file__).resolve().parents[2]


class Answerer:
    """Takes `<service>.*` calls as a service would and answers each by `answer(method, kwargs, message)`.

    An answer of None leaves the call unanswered.
    """

    def __init__(self, broker: Broker, service: str,
                 answer: Callable[[str, dict[str, Any], Any], Any]) -> None:
        self.broker = broker
        self.service = service
        self.answer = answer
        self.calls: list[str] = []
        self.ready = threading.Event()
        self.stopping = threading.Event()
        self.thread = threading.Thread(target=self.serve_until_stopped, daemon=True)

    def __enter__(self) -> Answerer:
        self.thread.start()
        assert self.ready.wait(20)
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        self.thread.join(20)

    def serve_until_stopped(self) -> None:
        while not self.stopping.is_set():
            try:
                self.serve()
            except (OSError, amqp.AMQPError):
                self.stopping.wait(0.1)

    def serve(self) -> None:
        connection = amqp.Connection(
            host=f"127.0.0.1:{self.broker.port}", userid="administrator",
            password=self.broker.administrator_password, connect_timeout=2)
        connection.connect()
        channel = connection.channel()
        channel.exchange_declare("nameko-rpc", "topic", durable=True, auto_delete=False)
        channel.queue_declare(f"rpc-{self.service}", durable=True, auto_delete=False)
        channel.queue_bind(f"rpc-{self.service}", "nameko-rpc", f"{self.service}.*")
        channel.basic_consume(f"rpc-{self.service}", no_ack=True,
                              callback=lambda message: self.handle(channel, message))
        self.ready.set()
        while not self.stopping.is_set():
            try:
                connection.drain_events(timeout=0.1)
            except TimeoutError:
                continue
        connection.close()

    def handle(self, channel: Any, message: Any) -> None:
        method = message.delivery_info["routing_key"].split(".")[1]
        self.calls.append(method)
        answer = self.answer(method, orjson.loads(message.body)["kwargs"], message)
        if answer is not None:
            channel.basic_publish(
                amqp.Message(orjson.dumps(answer), correlation_id=message.properties["correlation_id"],
                             content_type="application/json"),
                routing_key=message.properties["reply_to"])


def echo(method: str, kwargs: dict[str, Any], message: Any) -> Any:
    if method == "conflict":
        return {"result": None, "error": to_wire(Conflict("已有另一内容", {"visit_id": ["differs"]}))}
    if method == "silent":
        return None
    properties = {"user": message.properties.get("user_id"), "headers": message.headers}
    return {"result": {**kwargs, **properties}, "error": None}


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("broker"))
    broker.start()
    try:
        broker.ctl("add_user", "reader", "reader")
        broker.ctl("set_permissions", "reader", "^$", "^nameko-rpc$", "^$")
        broker.ctl("set_topic_permissions", "reader", "nameko-rpc",
                   r"^service\.(read|conflict|silent)$", "^$")
        yield broker
    finally:
        broker.stop()


@pytest.fixture
def service(broker: Broker) -> Iterator[Answerer]:
    with Answerer(broker, "service", echo) as answerer:
        yield answerer


@pytest.fixture
def reader(broker: Broker) -> Iterator[Caller]:
    with Caller(broker.uri("reader", "reader")) as caller:
        yield caller


def test_a_call_is_answered_and_carries_its_user_and_trace(service: Answerer, reader: Caller) -> None:
    trace = "00-11112222333344445555666677778888-1111222233334444-01"
    answer = reader.call("service.read", {"窗口": "1001"}, traceparent=trace)
    assert answer == {"窗口": "1001", "user": "reader", "headers": {"traceparent": trace}}


def test_a_domain_error_of_the_service_is_raised_as_itself(service: Answerer, reader: Caller) -> None:
    with pytest.raises(Conflict) as refused:
        reader.call("service.conflict", {})
    assert refused.value.fields == {"visit_id": ["differs"]}


def test_a_call_nobody_takes_fails_at_once(service: Answerer, broker: Broker) -> None:
    with Caller(broker.uri()) as caller, pytest.raises(NotReady, match="elsewhere 服务未启动"):
        caller.call("elsewhere.read", {}, timeout=60)


def test_an_unanswered_call_ends_after_its_seconds_and_the_next_one_works(
        service: Answerer, reader: Caller) -> None:
    with pytest.raises(NotReady, match=r"service\.silent 超时：0.3 秒"):
        reader.call("service.silent", {}, timeout=0.3)
    assert reader.call("service.read", {"n": 1})["n"] == 1


def test_a_call_without_the_right_is_refused_by_the_broker_and_the_next_one_works(
        service: Answerer, reader: Caller) -> None:
    with pytest.raises(NotAllowed, match=r"reader 无权调用.*主题 service\.write 的写权限"):
        reader.call("service.write", {})
    assert "write" not in service.calls
    assert reader.call("service.read", {"n": 2})["n"] == 2


def test_a_wrong_password_is_refused_at_once(broker: Broker) -> None:
    with Caller(broker.uri("reader", "wrong")) as caller, pytest.raises(NotAllowed, match="不接受账号"):
        caller.call("service.read", {}, timeout=60)


def test_a_payload_that_is_not_json_is_refused_before_it_is_sent(reader: Caller) -> None:
    with pytest.raises(InvalidPayload, match=r"service\.read 的参数不能写成 JSON"):
        reader.call("service.read", {"x": object()})


def test_many_calls_are_answered_in_order_with_a_bounded_number_in_flight(
        service: Answerer, reader: Caller) -> None:
    taken = 0

    def calls() -> Iterator[tuple[str, dict[str, Any]]]:
        nonlocal taken
        for number in range(500):
            taken += 1
            yield "service.read", {"n": number}

    seen = 0
    for answer in reader.call_many(calls(), window=8):
        assert isinstance(answer, dict)
        assert answer["n"] == seen
        seen += 1
        assert taken - seen <= 8
    assert seen == 500


def test_among_many_calls_only_the_refused_ones_fail(service: Answerer, reader: Caller) -> None:
    key = {3: "service.write", 7: "service.conflict"}
    calls = [(key.get(n % 10, "service.read"), {"n": n}) for n in range(40)]
    answers = list(reader.call_many(calls, timeout=20))
    assert [type(answer).__name__ for answer in answers] == [
        "NotAllowed" if n % 10 == 3 else "Conflict" if n % 10 == 7 else "dict" for n in range(40)]
    assert [answer["n"] for answer in answers if isinstance(answer, dict)] == [
        n for n in range(40) if n % 10 not in (3, 7)]


def test_several_threads_may_use_one_caller(service: Answerer, reader: Caller) -> None:
    wrong: list[Any] = []

    def work(thread: int) -> None:
        for number in range(30):
            answer = reader.call("service.read", {"n": [thread, number]})
            if answer["n"] != [thread, number]:
                wrong.append(answer)

    threads = [threading.Thread(target=work, args=(thread,)) for thread in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert wrong == []


def test_a_forged_user_is_refused_by_the_broker(service: Answerer, reader: Caller) -> None:
    reader.account = "administrator"
    with pytest.raises(NotAllowed, match="forged user_id"):
        reader.call("service.read", {})
    assert service.calls == []


def test_a_large_payload_passes_whole(service: Answerer, reader: Caller) -> None:
    assert len(reader.call("service.read", {"text": "窗" * 1_000_000}, timeout=30)["text"]) == 1_000_000


def test_calls_in_flight_survive_a_restart_of_the_broker(service: Answerer, broker: Broker) -> None:
    with Caller(broker.uri("reader", "reader")) as caller:
        answers = []
        for number, answer in enumerate(caller.call_many(
                (("service.read", {"n": n}) for n in range(200)), timeout=60)):
            assert isinstance(answer, dict), answer
            answers.append(answer["n"])
            if number == 50:
                broker.restart()
        assert answers == list(range(200))


def test_a_frozen_broker_costs_no_more_than_the_timeout(service: Answerer, broker: Broker) -> None:
    with Caller(broker.uri("reader", "reader")) as caller:
        caller.call("service.read", {})
        broker.pause()
        try:
            with pytest.raises(NotReady, match=r"service\.read"):
                caller.call("service.read", {}, timeout=1)
        finally:
            broker.resume()
        assert caller.call("service.read", {"n": 3}, timeout=30)["n"] == 3


def test_without_a_broker_the_error_names_its_address() -> None:
    with (Caller("amqp://reader:reader@127.0.0.1:9//") as caller,
          pytest.raises(NotReady, match=r"连不上消息代理 127\.0\.0\.1:9")):
        caller.call("service.read", {}, timeout=0.5)


def test_the_caller_works_under_eventlets_monkey_patch(service: Answerer, broker: Broker) -> None:
    program = f"""
import eventlet
eventlet.monkey_patch()
from services.chassis.caller import Caller
caller = Caller({broker.uri("reader", "reader")!r})
pool = eventlet.GreenPool(10)
answers = list(pool.imap(lambda n: caller.call("service.read", {{"n": n}})["n"], range(50)))
assert answers == list(range(50)), answers
many = [answer["n"] for answer in caller.call_many(("service.read", {{"n": n}}) for n in range(100))]
assert many == list(range(100)), many
caller.close()
"""
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True,
                          timeout=60, env={"PYTHONPATH": str(ROOT), "EVENTLET_NO_GREENDNS": "yes"})
    assert done.returncode == 0, done.stderr


def test_the_caller_does_not_need_eventlet() -> None:
    program = "import sys, services.chassis.caller; sys.exit('eventlet' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, env={"PYTHONPATH": str(ROOT)})
    assert done.returncode == 0
