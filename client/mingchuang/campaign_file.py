"""Reads a campaign file (YAML) and says where in the file each error is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from marshmallow import ValidationError

from services.contracts import campaign

Place = tuple[int, int]


@dataclass(frozen=True)
class FileError:
    """One error: ``line`` and ``column`` count from 1; ``path`` is '' where the whole file is meant."""

    line: int
    column: int
    path: str
    reason: str


class CampaignFileError(Exception):
    """The campaign file cannot be used; ``errors`` are all that were found, in the order of the file."""

    def __init__(self, name: str, errors: list[FileError]) -> None:
        self.name = name
        self.errors = sorted(errors, key=lambda error: (error.line, error.column))
        super().__init__("\n".join(self._lines()))

    def _lines(self) -> list[str]:
        count = len(self.errors)
        head = f"活动文件有 {count} 处错误 / {count} error(s) in the campaign file:"
        return [head] + [
            f"{self.name}:{error.line}:{error.column} {error.path + ': ' if error.path else ''}{error.reason}"
            for error in self.errors
        ]


_PLAIN_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}


class _Loader(yaml.SafeLoader):
    """Safe YAML without dates (a day stays the text it is) and without aliases (each place has one path)."""

    yaml_implicit_resolvers = {
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call]
            raise yaml.MarkedYAMLError(problem="不支持 * 引用 / aliases are not supported", problem_mark=mark)
        return super().compose_node(parent, index)


class _Reading:
    """Builds the document and remembers where each key and each list entry stands."""

    def __init__(self, loader: _Loader) -> None:
        self.loader = loader
        self.places: dict[campaign.Path, Place] = {}
        self.errors: list[FileError] = []

    def build(self, node: yaml.Node, path: campaign.Path = ()) -> Any:
        self.places.setdefault(path, _place(node))
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(child, (*path, place)) for place, child in enumerate(node.value)]
        if node.tag not in _PLAIN_TAGS:
            self._error(node, path, f"不支持的标签 / unsupported tag: {node.tag}")
            return None
        return self.loader.construct_object(node, deep=True)

    def _mapping(self, node: yaml.MappingNode, path: campaign.Path) -> dict[str, Any]:
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                self._error(key_node, path, "键应为文字 / a key must be text")
                continue
            key = key_node.value
            inner = (*path, key)
            if key in result:
                self._error(key_node, inner, "键重复 / duplicate key")
            self.places[inner] = _place(key_node)
            result[key] = self.build(value_node, inner)
        return result

    def _error(self, node: yaml.Node, path: campaign.Path, reason: str) -> None:
        line, column = _place(node)
        self.errors.append(FileError(line, column, campaign.path_text(path), reason))

    def where(self, path: campaign.Path) -> Place:
        """The key (in a list, the entry) at ``path``; of something missing, what lacks it."""
        while path and path not in self.places:
            path = path[:-1]
        return self.places.get(path, (1, 1))


def _place(node: yaml.Node) -> Place:
    return node.start_mark.line + 1, node.start_mark.column + 1


def load(path: str | Path) -> dict[str, Any]:
    """The validated campaign document of the file, with its defaults filled in; days are ISO strings.

    Raises CampaignFileError that lists each error with line, column and path, in Chinese and English.
    """
    path = Path(path)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise CampaignFileError(
            path.name, [FileError(1, 1, "", f"无法读取 / cannot be read: {error.strerror}")]
        ) from None
    except UnicodeDecodeError:
        raise CampaignFileError(
            path.name, [FileError(1, 1, "", "不是 UTF-8 文本 / not UTF-8 text")]
        ) from None
    return parse(text, path.name)


def parse(text: str, name: str) -> dict[str, Any]:
    """As ``load``, from the file's text; ``name`` is what errors call it."""
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        if node is None:
            raise CampaignFileError(name, [FileError(1, 1, "", "文件是空的 / the file is empty")])
        reading = _Reading(loader)
        document = reading.build(node)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        reason = f"不是有效的 YAML / not valid YAML: {error.problem or error.context}"
        raise CampaignFileError(name, [FileError(line, column, "", reason)]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        reason = f"不是有效的 YAML / not valid YAML: {error}"
        raise CampaignFileError(name, [FileError(1, 1, "", reason)]) from None
    errors = list(reading.errors)
    try:
        loaded = campaign.CampaignSchema().load(document)
    except ValidationError as error:
        for path, reason in campaign.places(error.messages):
            line, column = reading.where(path)
            errors.append(FileError(line, column, campaign.path_text(path) if path else "", reason))
    if errors:
        raise CampaignFileError(name, errors)
    result: dict[str, Any] = loaded
    return result
