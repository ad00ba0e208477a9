"""The command line `mingchuang`: what an office or an operator does by hand, against a running platform.

Exit code 0: done; 1: a fault of the platform or of the way to it, or figures that do not verify; 2: bad
input.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

from mingchuang import views
from mingchuang.campaign_file import CampaignFileError, load
from mingchuang.client import Client
from services.chassis.trace import new_trace, trace_id
from services.contracts.errors import Conflict, DomainError, InvalidPayload, NotFound, NotReady

Json = dict[str, Any]
SERVICES = ("inspection", "scoring", "notification", "reporting")
VERIFY_SECONDS = 120.0
PUBLISH_SECONDS = 60.0


class Partly(Exception):
    """Part of what the platform answered is a refusal. ``text`` for people, ``code`` for the shell."""

    def __init__(self, text: str, code: int) -> None:
        super().__init__(text)
        self.code = code


class Printer:
    """Prints an answer: for machines as JSON, else as the text made of it."""

    def __init__(self, as_json: bool) -> None:
        self.as_json = as_json

    def __call__(self, answer: Any, text: str) -> None:
        print(json.dumps(answer, ensure_ascii=False, indent=2, default=str) if self.as_json else text)


Command = Callable[[Client, argparse.Namespace, Printer], None]


def publish(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    campaign = load(arguments.file)
    client.timeout = max(client.timeout, PUBLISH_SECONDS)
    answer = client.inspection.publish_campaign(campaign=campaign)
    show(answer, f"已发布 {answer['campaign']} 第 {answer['version']} 版：{campaign['name']}")


def import_registry(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    client.timeout = max(client.timeout, PUBLISH_SECONDS)
    answer = client.inspection.import_file(arguments.file)
    show(answer, views.imported(answer))


def record(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    document = read_json(arguments.file)
    facts = document if isinstance(document, list) else [document]
    if not facts:
        raise InvalidPayload(f"{arguments.file} 里没有查访或评价 / nothing to record", {"payload": ["empty"]})
    answers, texts, refused = [], [], []
    for place, fact in enumerate(facts):
        key = call_of(fact, f"{arguments.file} 第 {place + 1} 项" if len(facts) > 1 else arguments.file)
        answer = client.call(key, fact)
        answers.append(answer)
        if key == "inspection.record_ratings":
            texts.append(views.recorded_ratings(fact["batch_id"], answer))
            refused += [f"  {cell_of_rejected(row)}" for row in answer["rejected"]]
        else:
            texts.append(views.recorded_visit(answer))
    show(answers if isinstance(document, list) else answers[0], "\n".join(texts))
    if refused:
        raise Partly("拒收的评价 / ratings refused:\n" + "\n".join(refused), 2)


def cell_of_rejected(row: Json) -> str:
    place = f"第 {row['index'] + 1} 条" if isinstance(row.get("index"), int) else ""
    return f"{place} {row.get('id') or ''}：{row.get('reason') or views.cell_line(row)}".strip()


def call_of(fact: Any, place: str) -> str:
    """Which call records a fact: known by the keys it has."""
    if isinstance(fact, dict) and "ratings" in fact:
        return "inspection.record_ratings"
    if isinstance(fact, dict) and "visit_id" in fact and "answers" in fact:
        return "inspection.amend_visit" if "version" in fact else "inspection.record_visit"
    if isinstance(fact, dict) and "visit_id" in fact and "reason" in fact:
        return "inspection.void_visit"
    raise InvalidPayload(
        f"{place} 既不是查访（visit_id、answers …）也不是一批评价（batch_id、ratings）"
        " / neither a visit nor a batch of ratings",
        {"payload": ["须有 visit_id 与 answers，或 batch_id 与 ratings"]},
    )


def read_json(path: str) -> Any:
    """The JSON of a file, of standard input for ``-``. Raises InvalidPayload with line and column."""
    try:
        text = sys.stdin.read() if path == "-" else Path(path).read_bytes().decode("utf-8-sig")
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise InvalidPayload(
            f"{path} 不是 JSON / not JSON: 第 {error.lineno} 行第 {error.colno} 列 / line {error.lineno}",
            {"payload": [error.msg]},
        ) from error
    except UnicodeDecodeError as error:
        raise InvalidPayload(f"{path} 不是 UTF-8 文本 / not UTF-8 text", {"payload": [str(error)]}) from error


def score(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    level, code = arguments.level, arguments.code
    if (level == "city") != (code is None):
        reason = f"须给出{views.LEVELS[level]}编号" if code is None else "全市没有编号"
        raise InvalidPayload(
            f"score {level}：{reason} / a code belongs to window and industry", {"code": [reason]})
    answer = (client.scoring.window_score(window=code) if level == "window"
              else client.scoring.industry_score(industry=code) if level == "industry"
              else client.scoring.city_score())
    show(answer, views.score(answer))


def explain(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    answer = client.scoring.explain(window=arguments.window)
    show(answer, views.explanation(answer))


def verify(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    answer = client.call("scoring.verify", {}, timeout=max(client.timeout, VERIFY_SECONDS))
    show(answer, views.verification(answer))
    if (answer["state"], answer["facts"]) != ("equal", "equal"):
        raise Partly("核对不一致 / verification found differences", 1)


def messages(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    answer = client.notification.messages(
        state=arguments.state, recipient=arguments.recipient, event=arguments.event,
        limit=arguments.limit, after=arguments.after)
    show(answer, views.messages(answer))


def resend(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    answer = client.notification.resend(message=arguments.message)
    state = views.STATES.get(answer["state"], answer["state"])
    show(answer, f"邮件 {answer['message']} 将重发，状态：{state}")


def dead_letters_list(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    answers = {service: client.services[service].dead_letters(state=arguments.state, limit=arguments.limit)
               for service in chosen(arguments)}
    rows = [row for service, answer in answers.items() for row in views.dead_letter_rows(service, answer)]
    total = sum(answer["total"] for answer in answers.values())
    show(answers, f"死信 {total} 封\n" + views.dead_letters(rows))


def dead_letters_show(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    service, answer = owner_of(client, arguments)
    show({"service": service, **answer},
         f"服务 {service}\n" + json.dumps(answer["dead_letter"], ensure_ascii=False, indent=2, default=str))


def dead_letters_replay(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    if (arguments.dead_letter is None) != arguments.all:
        raise InvalidPayload("须给出死信编号，或用 --all 重放全部 / give a dead letter, or --all",
                             {"dead_letter": ["编号与 --all 二者取一 / one of them"]})
    if arguments.all:
        found = [(service, row["id"]) for service in chosen(arguments)
                 for row in client.services[service].dead_letters(limit=500)["dead_letters"]]
    else:
        found = [(owner_of(client, arguments)[0], arguments.dead_letter)]
    answers = [client.services[service].replay_dead_letter(dead_letter=letter) for service, letter in found]
    show(answers, f"已放回队列 {len(answers)} 封")


def chosen(arguments: argparse.Namespace) -> Sequence[str]:
    return (arguments.service,) if arguments.service else SERVICES


def owner_of(client: Client, arguments: argparse.Namespace) -> tuple[str, Json]:
    """The service that holds the dead letter, with it. Raises NotFound when none does."""
    for service in chosen(arguments):
        try:
            return service, client.services[service].dead_letter(dead_letter=arguments.dead_letter)
        except NotFound:
            continue
    raise NotFound(
        f"没有死信 {arguments.dead_letter} / no such dead letter in {', '.join(chosen(arguments))}")


def status(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    answers: dict[str, Json | DomainError] = dict(zip(
        SERVICES, client.call_many([(f"{service}.status", {}) for service in SERVICES]), strict=True))
    for answer in answers.values():
        if isinstance(answer, DomainError) and not isinstance(answer, NotReady):
            raise answer
    show({service: {"error": str(answer)} if isinstance(answer, Exception) else answer
          for service, answer in answers.items()}, views.statuses(answers))
    away = [service for service, answer in answers.items() if isinstance(answer, Exception)]
    if away:
        raise Partly(f"不可用的服务：{'、'.join(away)} / services that do not answer", 1)


def clock(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    answer = client.inspection.clock()
    show(answer, views.clock(answer))


def advance_clock(client: Client, arguments: argparse.Namespace, show: Printer) -> None:
    answer = client.inspection.advance_clock(to=arguments.to)
    show(answer, views.clock(answer))


class Parser(argparse.ArgumentParser):
    """argparse with its headings and errors in Chinese."""

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings, add_help=False, allow_abbrev=False)
        self._positionals.title, self._optionals.title = "参数", "选项"
        self.add_argument("-h", "--help", action="help", help="显示用法")

    def format_usage(self) -> str:
        return super().format_usage().replace("usage: ", "用法：", 1)

    def format_help(self) -> str:
        return super().format_help().replace("usage: ", "用法：", 1)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"错误：命令不对 / {message}；用法见 {self.prog} --help\n")


def build_parser() -> argparse.ArgumentParser:
    parser = Parser(prog="mingchuang", description="明窗：城市窗口服务质量督查平台的命令行",
                    epilog="平台自动寻找：MINGCHUANG_PLATFORM、AMQP_URI，或当前目录往上的"
                           " .local/platform.json。")
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--json", action="store_true", help="输出 JSON，供程序读取")
    common.add_argument("--account", default="office", metavar="账号", help="以哪个账号调用（缺省 office）")
    common.add_argument("--timeout", type=seconds, default=10.0, metavar="秒",
                        help="每次调用至多等多久（缺省 10）")
    commands = parser.add_subparsers(title="命令", metavar="命令", dest="command", required=True)

    def command(run: Command, name: str, help: str, into: Any = commands) -> argparse.ArgumentParser:
        added: argparse.ArgumentParser = into.add_parser(name, help=help, description=help, parents=[common])
        added.set_defaults(run=run)
        return added

    command(publish, "publish", "发布活动方案（YAML）").add_argument(
        "file", metavar="文件", help="如 campaigns/changzhou-2007.yaml")
    command(import_registry, "import", "导入行业、单位、窗口、督察员（xlsx）").add_argument(
        "file", metavar="文件")
    command(record, "record", "收录查访或一批评价（JSON）").add_argument(
        "file", metavar="文件", help="一次查访、一批评价，或它们的列表；- 为标准输入")
    added = command(score, "score", "看评分")
    added.add_argument("level", nargs="?", choices=("window", "industry", "city"), default="city",
                       metavar="层级", help="window、industry 或 city（缺省）")
    added.add_argument("code", nargs="?", metavar="编号", help="窗口或行业的编号")
    command(explain, "explain", "解释一个窗口的评分，细到每个作答").add_argument("window", metavar="窗口")
    command(verify, "verify", "核对：评分与从头重算、事实与督查服务")
    added = command(messages, "messages", "看邮件")
    added.add_argument("--state", choices=tuple(views.STATES), metavar="状态",
                       help="due、sending、sent 或 failed")
    added.add_argument("--recipient", metavar="邮箱", help="只看这个收件人")
    added.add_argument("--event", metavar="事件", help="只看这个事件引起的")
    added.add_argument("--limit", type=int, metavar="件数", help="至多几件（1–500，缺省 50）")
    added.add_argument("--after", metavar="标记", help="上一页末尾给出的标记")
    command(resend, "resend", "重发一封邮件").add_argument("message", metavar="编号")

    letters = commands.add_parser("dead-letters", help="看死信、重放死信", description="看死信、重放死信")
    actions = letters.add_subparsers(title="命令", metavar="命令", dest="action", required=True)
    added = command(dead_letters_list, "list", "列出死信", actions)
    added.add_argument("--state", choices=("waiting", "replayed", "all"), default="waiting", metavar="状态",
                       help="waiting（缺省）、replayed 或 all")
    added.add_argument("--limit", type=int, default=50, metavar="封数", help="每个服务至多几封（缺省 50）")
    shown = command(dead_letters_show, "show", "看一封死信的正文、消息头和原因", actions)
    shown.add_argument("dead_letter", metavar="编号")
    replayed = command(dead_letters_replay, "replay", "把死信放回它的队列", actions)
    replayed.add_argument("dead_letter", nargs="?", metavar="编号")
    replayed.add_argument("--all", action="store_true", help="全部待处理的死信")
    for action in (added, shown, replayed):
        action.add_argument("--service", choices=SERVICES, metavar="服务",
                            help="只看这个服务：" + "、".join(SERVICES))

    command(status, "status", "四个服务的积压与计数")
    command(clock, "clock", "看活动时钟")
    command(advance_clock, "advance-clock", "把活动时钟拨到某时刻（仅演练）").add_argument(
        "to", metavar="时刻", help="如 2007-05-01T23:59:59.999+08:00")
    return parser


def seconds(text: str) -> float:
    """A positive number of seconds."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} 须为 0 到 3600 之间的秒数 / must be seconds")
    return value


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit code."""
    arguments = build_parser().parse_args(argv)
    trace = new_trace()
    client = Client(account=arguments.account, timeout=arguments.timeout, traceparent=trace)
    try:
        with client:
            arguments.run(client, arguments, Printer(arguments.json))
        sys.stdout.flush()
        return 0
    except Partly as partly:
        print(f"错误：{partly}", file=sys.stderr)
        return partly.code
    except DomainError as error:
        called = trace if "caller" in vars(client) else ""
        complain(type(error).__name__, error.message, error.fields, called, arguments.json)
        return 2 if isinstance(error, (InvalidPayload, NotFound, Conflict)) else 1
    except CampaignFileError as error:
        places = {f"{one.line}:{one.column} {one.path}".rstrip(): [one.reason] for one in error.errors}
        complain("InvalidPayload", f"活动文件 {error.name} 有 {len(error.errors)} 处错误", places, "",
                 arguments.json)
        return 2
    except BrokenPipeError:
        # Who reads the output has gone (`| head`): not a fault.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        complain("InvalidPayload", f"读不了文件 {error.filename} / cannot be read: {error.strerror}", {}, "",
                 arguments.json)
        return 2
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        complain("Fault", f"出了意外的故障 / unexpected fault: {type(error).__name__}: {error}", {}, trace,
                 arguments.json)
        return 1


def complain(name: str, message: str, fields: dict[str, list[str]], trace: str, as_json: bool) -> None:
    """The error on standard error: what is wrong, then each field with its reasons."""
    if as_json:
        print(json.dumps({"error": name, "message": message, "fields": fields, "trace": trace_id(trace)},
                         ensure_ascii=False), file=sys.stderr)
        return
    lines = [f"错误：{message}", *(f"  {path}：{'；'.join(why)}" for path, why in fields.items())]
    if name in ("NotReady", "Fault") and trace:
        lines.append(f"  追踪号 {trace_id(trace)}")
    print("\n".join(lines), file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
