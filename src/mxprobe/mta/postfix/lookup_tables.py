"""Postfix lookup tables, read from their text: lists of tables, what each holds, and what a lookup gives.

As postmap(1), DATABASE_README, dict_thash.c and dict_inline.c have it. Nothing is read here: who calls brings the text.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from mxprobe.errors import InvalidSetting

MAX_TABLES = 100
"""Tables in one list; a Postfix with more would be slow, and nobody has seen one."""

TEXT_TABLES = ("texthash", "hash", "btree", "lmdb", "cdb", "dbm", "sdbm")
"""The types of table that are made of one text of keys and values (postmap(1)): it is read in their place."""

BLANKS = " \t\r\n\v\f"
_SEPARATORS = ", \t\r\n"


@dataclass(frozen=True, slots=True, kw_only=True)
class TableName:
    """A table as a list of them names it: ``hash:/etc/postfix/tls_policy`` has the type *hash*."""

    type: str
    name: str

    def __str__(self) -> str:
        return f"{self.type}:{self.name}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What a table gives for a key, and the line of its text that says so; `file` is empty where it has none."""

    key: str
    value: str
    file: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table that could be read: its entries by folded key; or one value for every key.

    `warnings` are lines that Postfix ignores, as it words them. `broken` is why every lookup in it is an error.
    """

    name: TableName
    entries: Mapping[str, Entry]
    every_key: Entry | None = None
    warnings: tuple[str, ...] = ()
    broken: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class UnreadTable:
    """A table whose content is not known here: `reason` says why. It may hold any key, or none."""

    name: TableName
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenLookup:
    """A lookup that is an error: Postfix defers the mail, and logs `reason`."""

    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownLookup:
    """A lookup whose outcome depends on a table that could not be read here."""

    reason: str


Tables = tuple[Table | UnreadTable, ...]


def table_names(text: str, default_type: str = "hash") -> tuple[TableName, ...]:
    """The tables of a list, which has blanks or commas between them, but not within braces.

    Raises:
        InvalidSetting: there are too many of them.
    """
    names = []
    for word in words(text, braces=True):
        kind, colon, name = word.partition(":")
        while colon and kind == "proxy":  # asks proxymap(8), which opens the same table
            kind, colon, name = name.partition(":")
        names.append(TableName(type=kind.lower(), name=name) if colon else TableName(type=default_type, name=kind))
    if len(names) > MAX_TABLES:
        raise InvalidSetting("smtp_tls_policy_maps", f"it names {len(names)} tables", f"at most {MAX_TABLES}")
    return tuple(names)


def open_table(name: TableName, read: Callable[[str], tuple[str, str]]) -> Table | UnreadTable:
    """The table of a name. `read` gives the text of a path, and the file that it is from, or raises OSError.

    Tables that ask a server, or match patterns, cannot be read here.
    """
    match name.type:
        case "inline":
            return _inline_table(name)
        case "static":
            value = without_braces(name.name)
            if value is None:
                return Table(name=name, entries={}, broken=f"bad syntax: {name}")
            return Table(name=name, entries={}, every_key=Entry(key="*", value=value))
        case "fail":
            return Table(name=name, entries={}, broken=f"{name} always fails")
        case kind if kind in TEXT_TABLES:
            try:
                text, file = read(name.name)
            except OSError as error:
                return UnreadTable(name=name, reason=f"{name} cannot be read: {error.strerror or error}")
            return text_table(name, text, file)
        case kind:
            return UnreadTable(name=name, reason=f"{kind}: tables cannot be read on paper ({str(name)[:200]})")


def text_table(name: TableName, text: str, file: str) -> Table:
    """Read the text of keys and values that postmap(1) makes a table of, one a line; a line that begins with a blank
    goes on with the one before it, blank lines and comments do not count.

    The first of two equal keys holds, as postmap(1) keeps it; *texthash* then is an error as a whole.
    """
    entries: dict[str, Entry] = {}
    warnings: list[str] = []
    broken = ""
    for line, logical in _logical_lines(text):
        where = f"{file}, line {line}"
        if logical[0] in BLANKS:
            warnings.append(f'{where}: logical line must not start with whitespace: "{logical.strip()[:30]}"')
            continue
        key, value = _key_and_value(logical)
        if key is None:
            warnings.append(f"{where}: unbalanced '\"' -- ignoring this line")
        elif not key or not value:
            warnings.append(f"{where}: expected format: key whitespace value -- ignoring this line")
        elif folded(key) in entries:
            warnings.append(f'{where}: duplicate entry: "{key}"')
            if name.type == "texthash":
                broken = broken or warnings[-1]
        else:
            entries[folded(key)] = Entry(key=key, value=value, file=file, line=line)
    return Table(name=name, entries=entries, warnings=tuple(warnings), broken=broken)


def lookup(tables: Tables, key: str) -> Entry | BrokenLookup | UnknownLookup | None:
    """What a list of tables gives for a key: the first that has it decides, and so does the first that is an error."""
    if not key:
        return None
    wanted = folded(key)
    for table in tables:
        if isinstance(table, UnreadTable):
            return UnknownLookup(reason=table.reason)
        if table.broken:
            return BrokenLookup(reason=f"{table.name}: lookup error: {table.broken}")
        found = table.every_key or table.entries.get(wanted)
        if found is not None and not found.value:
            return BrokenLookup(reason=f"lookup of {key} returns an empty string result")
        if found is not None:
            return found
    return None


def table_warnings(tables: Iterable[Table | UnreadTable]) -> tuple[str, ...]:
    """What Postfix would log of the tables, and what could not be read of them."""
    found: list[str] = []
    for table in tables:
        if isinstance(table, UnreadTable):
            found.append(table.reason)
        else:
            found.extend(table.warnings)
    return tuple(found)


def _inline_table(name: TableName) -> Table:
    """``inline:{key=value, {key = a value with blanks}}``, where the last of two equal keys holds (DATABASE_README)."""
    inner = without_braces(name.name) if name.name.startswith("{") else None
    entries: dict[str, Entry] = {}
    for word in words(inner or "", braces=True):
        pair = without_braces(word)
        key, equals, value = (pair or "").partition("=")
        key, value = key.strip(BLANKS), value.strip(BLANKS)
        if not equals or not key:
            return Table(name=name, entries={}, broken=f"bad syntax: {word}; need inline:{{name=value...}}")
        entries[folded(key)] = Entry(key=key, value=value)
    if not entries:
        return Table(name=name, entries={}, broken=f"bad syntax: {name}; need inline:{{name=value...}}")
    return Table(name=name, entries=entries)


def words(text: str, *, braces: bool) -> Iterator[str]:
    """The words between commas and blanks, those in braces kept together (mystrtokq())."""
    word, depth = "", 0
    for character in text:
        if depth == 0 and character in _SEPARATORS:
            if word:
                yield word
            word = ""
            continue
        if braces:
            depth += (character == "{") - (character == "}" and depth > 0)
        word += character
    if word:
        yield word


def without_braces(text: str) -> str | None:
    """The text, or what is in the braces that it begins with; None where they do not close at its end (extpar())."""
    if not text.startswith("{"):
        return text
    depth = 0
    for index, character in enumerate(text):
        depth += (character == "{") - (character == "}")
        if depth == 0:
            return text[1:-1].strip(BLANKS) if index == len(text) - 1 else None
    return None


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines as readllines() puts them together, each with the number of its first."""
    buffer: list[str] = []
    first = 0
    for number, line in enumerate(text.split("\n"), 1):
        content = line.strip(BLANKS)
        if not content or content.startswith("#"):
            continue
        if buffer and line[0] not in BLANKS:
            yield first, "".join(buffer)
            buffer = []
        if not buffer:
            first = number
        buffer.append(line)
    if buffer:
        yield first, "".join(buffer)


def _key_and_value(line: str) -> tuple[str | None, str]:
    """Split at the first blank that is not in quotes; no key where the quotes do not close (dict_thash.c)."""
    quoted, index = False, 0
    while index < len(line):
        character = line[index]
        if character == "\\":
            index += 1
        elif character == '"':
            quoted = not quoted
        elif character in BLANKS and not quoted:
            break
        index += 1
    if quoted:
        return None, ""
    return line[:index], line[index:].strip(BLANKS)


def folded(key: str) -> str:
    return key.lower() if key.isascii() else key.casefold()
