"""The synthetic city: writes its registry as a workbook with the sheets that inspection imports.

The same seed gives the same bytes. Nothing in it is real: units have credit codes of a region that does not
exist, people are numbered, addresses are 示例路, mail goes to example.org.

Run ``python -m rehearsal.city`` to write ``campaigns/changzhou-2007/registry.xlsx`` anew.
"""

from __future__ import annotations

import random
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from io import BytesIO
from pathlib import Path

from openpyxl import Workbook
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from stdnum.cn import uscc

SEED = 2007
TARGET = Path(__file__).resolve().parent.parent / "campaigns" / "changzhou-2007" / "registry.xlsx"
WINDOWS = 120
SUPERVISORS = 48
DISTRICTS = ("天宁区", "钟楼区", "戚墅堰区", "新北区", "武进区")
# GB/T 2260 has no region that begins with 99, so no real unit has such a code.
REGION = "990000"
# Date of the notice: what a workbook says of its own making must not depend on when it was made.
MADE_AT = datetime(2007, 1, 10)
_STORED_AT = (2007, 1, 10, 0, 0, 0)


@dataclass(frozen=True)
class _Industry:
    code: str
    name: str
    authority: str  # the first two signs of a credit code: 91 firms, 11 offices, 12 public institutions
    units: tuple[str, ...]
    services: tuple[str, ...]


INDUSTRIES = (
    _Industry(
        "GJ", "公交", "91", ("示例公交第一公司", "示例公交第二公司"), ("公交月票服务窗口", "公交乘客服务窗口")
    ),
    _Industry(
        "CZ",
        "出租",
        "91",
        ("示例出租汽车一公司", "示例出租汽车二公司"),
        ("出租乘客服务窗口", "出租失物招领窗口"),
    ),
    _Industry("GD", "供电", "91", ("示例供电一公司", "示例供电二公司"), ("用电营业厅", "电费缴费窗口")),
    _Industry("GS", "供水", "91", ("示例自来水公司", "示例自来水分公司"), ("用水营业厅", "供水报修窗口")),
    _Industry("RQ", "燃气", "91", ("示例燃气公司", "示例液化气公司"), ("燃气营业厅", "燃气报装维修窗口")),
    _Industry(
        "DX",
        "电信",
        "91",
        ("示例电信一公司", "示例电信二公司", "示例电信三公司"),
        ("电信营业厅", "电信客户服务窗口"),
    ),
    _Industry("YZ", "邮政", "91", ("示例邮政一局", "示例邮政二局"), ("邮政支局营业窗口", "邮政包裹汇款窗口")),
    _Industry(
        "YH",
        "银行",
        "91",
        ("示例银行一行", "示例银行二行", "示例银行三行"),
        ("银行储蓄窗口", "银行对公服务窗口"),
    ),
    _Industry(
        "YY",
        "医院",
        "12",
        ("示例第一医院", "示例第二医院", "示例第三医院"),
        ("医院门诊挂号窗口", "医院收费取药窗口"),
    ),
    _Industry(
        "GA", "工商", "11", ("示例工商一分局", "示例工商二分局"), ("工商企业登记窗口", "工商个体登记窗口")
    ),
    _Industry("SW", "税务", "11", ("示例税务一分局", "示例税务二分局"), ("办税服务厅", "税务发票窗口")),
    _Industry(
        "HJ", "公安户籍", "11", ("示例公安一分局", "示例公安二分局"), ("派出所户籍窗口", "身份证办理窗口")
    ),
    _Industry("FG", "房管", "11", ("示例房管一所", "示例房管二所"), ("房管产权登记窗口", "房管交易窗口")),
    _Industry(
        "LB",
        "劳动保障",
        "11",
        ("示例劳动保障一所", "示例劳动保障二所"),
        ("劳动保障社保经办窗口", "劳动保障求职登记窗口"),
    ),
    _Industry("MZ", "民政", "11", ("示例民政一处", "示例民政二处"), ("民政婚姻登记窗口", "民政低保受理窗口")),
)

_NOTES = (
    "本工作簿是合成数据，只用于演练和测试，不反映任何真实单位、窗口或个人。",
    "This workbook is synthetic: for rehearsals and tests only. No unit, window or person in it is real.",
    "",
    "单位名称均以“示例”开头；地址均为“示例路”；联系人为“示例联系人001”等，督察员为“示例督察员001”等。",
    f"统一社会信用代码的校验位正确，但行政区划码 {REGION} 并不存在（该代码制度始于 2015 年，此处仅供校验）。",
    "电子邮箱均在 example.org，该域名专供举例，不会送达任何人。",
    "行政区为 2007 年的区划：天宁、钟楼、戚墅堰、新北、武进。",
    "由 rehearsal/city.py 按固定种子生成，请勿手工修改；需要改动时修改程序后重新生成。",
)

_HEADERS = {
    "行业": ("行业编号", "行业名称"),
    "单位": ("单位编号", "单位名称", "行业编号", "统一社会信用代码"),
    "窗口": (
        *("窗口编号", "窗口名称", "单位编号", "行政区", "地址"),
        *("启用日期", "关闭日期", "联系人编号"),
    ),
    "联系人": ("联系人编号", "姓名", "电子邮箱"),
    "督察员": ("督察员编号", "姓名", "电子邮箱", "培训日期", "任期届满"),
}

_ORGANISATION_WEIGHTS = (3, 7, 9, 10, 5, 8, 4, 2)


def credit_code(authority: str, number: int) -> str:
    """A 统一社会信用代码 of no real unit: right in form and both check digits (GB 11714, GB 32100).

    ``authority``: its first two signs; ``number``: 1 to 99,999,999, the body of the organisation code.
    """
    body = f"{number:08d}"
    rest = 11 - sum(int(sign) * weight for sign, weight in zip(body, _ORGANISATION_WEIGHTS, strict=True)) % 11
    organisation = body + {10: "X", 11: "0"}.get(rest, str(rest))
    code = authority + REGION + organisation
    return code + str(uscc.calc_check_digit(code))


def tables(seed: int = SEED) -> dict[str, list[tuple[object, ...]]]:
    """The rows of each sheet, without headers; days as ``date``, what is empty as None."""
    chance = random.Random(f"city:{seed}")
    industries: list[tuple[object, ...]] = []
    units: list[tuple[object, ...]] = []
    windows: list[tuple[object, ...]] = []
    contacts: list[tuple[object, ...]] = []
    each = WINDOWS // len(INDUSTRIES)
    for industry in INDUSTRIES:
        industries.append((industry.code, industry.name))
        for place, name in enumerate(industry.units, start=1):
            code = credit_code(industry.authority, len(units) + 1)
            units.append((f"{industry.code}-{place:02d}", name, industry.code, code))
        for place in range(each):
            unit = place * len(industry.units) // each + 1
            number = len(windows) + 1
            contact = f"LX{number:03d}"
            contacts.append((contact, f"示例联系人{number:03d}", f"lianxi{number:03d}@example.org"))
            windows.append(_window(chance, industry, f"{industry.code}-{unit:02d}", place, number, contact))
    return {
        "行业": industries,
        "单位": units,
        "窗口": windows,
        "联系人": contacts,
        "督察员": _supervisors(),
    }


# Windows (by number) that open or close during the campaign, so that a rehearsal meets both.
_OPEN_LATE = {37: date(2007, 4, 2), 90: date(2007, 6, 1)}
_CLOSE_EARLY = {22: date(2007, 7, 1), 75: date(2007, 9, 1)}


def _window(
    chance: random.Random, industry: _Industry, unit: str, place: int, number: int, contact: str
) -> tuple[object, ...]:
    district = DISTRICTS[(number + place // len(DISTRICTS)) % len(DISTRICTS)]
    service = industry.services[place % len(industry.services)]
    opened_on = date(1990, 1, 1) + timedelta(days=chance.randrange(0, 6000))
    return (
        f"{industry.code}-{place + 1:02d}",
        f"{district[:-1]}{service}{place + 1:02d}",
        unit,
        district,
        f"{district}示例路{chance.randrange(1, 400)}号",
        _OPEN_LATE.get(number, opened_on),
        _CLOSE_EARLY.get(number),
        contact,
    )


def _supervisors() -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    for number in range(1, SUPERVISORS + 1):
        # The last six join in spring, after a training of their own.
        late = number > SUPERVISORS - 6
        trained_on = date(2007, 3, 15) if late else date(2006, 12, 18 + number % 5)
        mail = f"ducha{number:03d}@example.org"
        rows.append((f"DC{number:03d}", f"示例督察员{number:03d}", mail, trained_on, date(2007, 12, 31)))
    return rows


def workbook_bytes(seed: int = SEED) -> bytes:
    """The workbook as the bytes of an xlsx file; the same seed gives the same bytes."""
    workbook = Workbook()
    notes = workbook.active
    assert notes is not None
    notes.title = "说明"
    notes.column_dimensions["A"].width = 100
    for text in _NOTES:
        notes.append([text])
    notes["A1"].font = notes["A2"].font = Font(bold=True, color="C00000")
    for name, rows in tables(seed).items():
        _add_sheet(workbook, name, rows)
    workbook.properties.creator = "mingchuang rehearsal"
    workbook.properties.title = "常州 2007 示例登记表（合成数据）"
    workbook.properties.created = MADE_AT
    packed = BytesIO()
    workbook.save(packed)
    return _without_time(packed.getvalue())


def _add_sheet(workbook: Workbook, name: str, rows: Iterable[tuple[object, ...]]) -> None:
    sheet = workbook.create_sheet(name)
    headers = _HEADERS[name]
    sheet.append(headers)
    for row in rows:
        sheet.append(row)
    for cell in sheet[1]:
        cell.font = Font(bold=True)
        cell.fill = PatternFill("solid", fgColor="DDEBF7")
        cell.alignment = Alignment(horizontal="center")
    for place, header in enumerate(headers, start=1):
        letter = get_column_letter(place)
        longest = max((_width(cell.value) for cell in sheet[letter]), default=0)
        sheet.column_dimensions[letter].width = longest + 2
        if header.endswith("日期") or header == "任期届满":
            for cell in sheet[letter][1:]:
                cell.number_format = "yyyy-mm-dd"
    sheet.freeze_panes = "A2"


def _width(value: object) -> int:
    if isinstance(value, date):
        return 10
    return sum(1 if sign.isascii() else 2 for sign in str(value or ""))


def _without_time(data: bytes) -> bytes:
    """The same workbook with fixed times, stored and not deflated: zlib's output differs by version."""
    stamp = MADE_AT.strftime("%Y-%m-%dT%H:%M:%SZ").encode()
    result = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as source, zipfile.ZipFile(result, "w") as target:
        for name in source.namelist():
            content = source.read(name)
            if name == "docProps/core.xml":
                content = re.sub(rb"(<dcterms:modified[^>]*>)[^<]*", rb"\g<1>" + stamp, content)
            part = zipfile.ZipInfo(name, _STORED_AT)
            part.create_system = 3
            part.external_attr = 0o644 << 16
            target.writestr(part, content)
    return result.getvalue()


def main() -> None:
    """Writes the workbook to its place in ``campaigns/``."""
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(workbook_bytes())
    print(TARGET.relative_to(TARGET.parent.parent.parent))


if __name__ == "__main__":
    main()
