"""Reads YAML as a person writes it: keys, values and lists, and none of what YAML has besides."""

from __future__ import annotations

import hashlib
import re
import reprlib
from collections.abc import Hashable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import yaml

from taxiway.errors import SourceConfigError

MAX_BYTES = 256 * 1024
"""Largest file that is read."""

MAX_DEPTH = 20
"""Most lists and mappings within each other."""

TEXT = re.compile(r"(?=.*\S)[^\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]{1,1000}", re.DOTALL)
"""A text in words, of several lines if need be, without what Postgres can't hold or a terminal would act on."""

# With libyaml, which nearly every wheel of PyYAML has, ten times as quick: every task reads the sources.
if TYPE_CHECKING:
    from yaml import SafeLoader as _SafeLoader
else:
    _SafeLoader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_SHORTENED = reprlib.Repr()
_SHORTENED.maxlevel = 2
_SHORTENED.maxstring = 120
_SHORTENED.maxother = 120


class StrictYaml(NamedTuple):
    """What a YAML file holds.

    :param document: its keys, values and lists
    :param sha256: of its bytes, in hexadecimal
    :param root: the same with positions; None if the file holds nothing
    """

    document: Any
    sha256: str
    root: yaml.Node | None

    def line_of(self, place: Sequence[str | int]) -> int:
        """Find the line of a value, from 1; of one that isn't there, that of what it should be in.

        :param place: keys, and positions in lists, from outside to inside
        """
        line, node = 1, self.root
        for part in place:
            if isinstance(node, yaml.MappingNode):
                found = [(key, value) for key, value in node.value if key.value == part]
            elif isinstance(node, yaml.SequenceNode) and isinstance(part, int):
                found = [(each, each) for each in node.value[part : part + 1]]
            else:
                break
            if not found:
                break
            key, node = found[0]
            line = key.start_mark.line + 1
        return line


def read_yaml(path: Path) -> bytes:
    """Read the bytes of a YAML file.

    :param path: the file
    :raises SourceConfigError: there is none, it can't be read, or it is too large
    """
    try:
        size = path.stat().st_size
        if size > MAX_BYTES:
            raise SourceConfigError(f"{path}: has {size} bytes: expected at most {MAX_BYTES}")
        return path.read_bytes()
    except FileNotFoundError:
        raise SourceConfigError(f"{path}: no such source: expected a YAML file there") from None
    except OSError as error:
        raise SourceConfigError(f"{path}: can't be read: {error.strerror}: expected a file that may be read") from error


def parse_strict_yaml(path: Path, content: bytes) -> StrictYaml:
    """Parse a YAML file.

    Anchors, aliases, tags and duplicate keys are refused. A few lines of aliases unfold to more than the memory holds,
    and a tag asks for a type that no key has.

    :param path: the file, for errors
    :param content: its bytes
    :return: what it holds
    :raises SourceConfigError: names the file, and says where in it
    """
    try:
        text = content.decode()
        _require_strict_events(text)
        loader = _StrictLoader(text)
        root = loader.get_single_node()
        document = None if root is None else loader.construct_document(root)
        return StrictYaml(document, hashlib.sha256(content).hexdigest(), root)
    except (yaml.YAMLError, ValueError, OverflowError, RecursionError) as error:
        # Values that look like a number or a date, and aren't one, are no YAML errors.
        said = " ".join(str(error).split())
        raise SourceConfigError(f"{path}: not a YAML file: {said[:500]}") from error


def shown(value: object) -> str:
    """Return a value as it stands in Python, shortened to fit a message."""
    try:
        return _SHORTENED.repr(value)
    except ValueError:
        return "a number of too many digits"


def _require_strict_events(text: str) -> None:
    """Make sure, before anything is made of it, that a text has nothing but keys, values and lists.

    :raises yaml.YAMLError: says what has no place here, and where
    """
    depth = 0
    event: Any
    for event in yaml.parse(text, Loader=_SafeLoader):
        if getattr(event, "anchor", None) is not None:
            raise yaml.composer.ComposerError(None, None, "anchors and aliases have no place here", event.start_mark)
        if getattr(event, "tag", None) is not None:
            raise yaml.composer.ComposerError(None, None, f"the tag {event.tag} has no place here", event.start_mark)
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise yaml.composer.ComposerError(None, None, f"more than {MAX_DEPTH} levels", event.start_mark)


class _StrictLoader(_SafeLoader):
    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for position, key in enumerate(keys):
            if key in keys[:position]:
                raise yaml.constructor.ConstructorError(
                    None, None, f"the key {shown(key)} is given twice", node.start_mark
                )
            if key == "<<":
                raise yaml.constructor.ConstructorError(None, None, "the key << has no place here", node.start_mark)
        return super().construct_mapping(node, deep)
