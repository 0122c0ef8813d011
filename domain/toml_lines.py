"""Lines of a TOML file that has been read already: tomllib does not tell where a value stands."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence

At = tuple[str | int, ...]
BLANK = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
SPACE = re.compile(r"[ \t]*")
STRING = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}' r"|'''.*?'{3,5}" r'|"(?:\\.|[^"\\\n])*"' r"|'[^'\n]*'", re.DOTALL
)
BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
PLAIN_VALUE = re.compile(r"[^,\]}\n#]+")


def line_at(path: At, lines: Mapping[At, int]) -> int:
    """Where it stands; what is missing is looked for in the nearest table around it."""
    return next(lines[path[:depth]] for depth in range(len(path), -1, -1) if path[:depth] in lines)


def lines_of(text: str) -> dict[At, int]:
    return TomlLines(text).read()


class TomlLines:
    def __init__(self, text: str) -> None:
        self.text, self.at = text, 0
        self.lines: dict[At, int] = {(): 1}
        self.last_of: dict[At, int] = {}

    def read(self) -> dict[At, int]:
        table: At = ()
        while self.skip(BLANK) < len(self.text):
            if self.sees("["):
                table = self.header()
            else:
                self.key_and_value(table)
        return self.lines

    def header(self) -> At:
        line, is_array = self.line(), self.text.startswith("[[", self.at)
        self.at += 2 if is_array else 1
        *parents, name = self.key()
        self.at += 2 if is_array else 1
        path = (*self.inside(parents, line), name)
        if not is_array:
            self.lines[path] = line
            return path
        self.lines.setdefault(path, line)
        self.last_of[path] = self.last_of.get(path, -1) + 1
        self.lines[(*path, self.last_of[path])] = line
        return (*path, self.last_of[path])

    def inside(self, parents: Sequence[str], line: int, path: At = ()) -> At:
        for name in parents:
            path = (*path, name)
            self.lines.setdefault(path, line)
            path = (*path, self.last_of[path]) if path in self.last_of else path
        return path

    def key_and_value(self, table: At) -> None:
        line, names = self.line(), self.key()
        self.at += 1
        for depth in range(len(names)):
            self.lines.setdefault((*table, *names[: depth + 1]), line)
        self.value((*table, *names))

    def key(self) -> list[str]:
        names: list[str] = []
        while not names or self.sees("."):
            self.at += 1 if names else 0
            self.skip(SPACE)
            names.append(self.key_part())
            self.skip(SPACE)
        return names

    def key_part(self) -> str:
        if found := BARE_KEY.match(self.text, self.at):
            self.at = found.end()
            return found[0]
        start, self.at = self.at, self.skip(STRING)
        return next(iter(tomllib.loads(f"{self.text[start : self.at]} = 0")))

    def value(self, path: At) -> None:
        self.skip(SPACE)
        if self.sees("["):
            self.many("]", path, self.element)
        elif self.sees("{"):
            self.many("}", path, lambda table, _: self.key_and_value(table))
        else:
            self.skip(STRING if self.sees('"') or self.sees("'") else PLAIN_VALUE)

    def element(self, path: At, nth: int) -> None:
        self.lines[(*path, nth)] = self.line()
        self.value((*path, nth))

    def many(self, end: str, path: At, one: Callable[[At, int], None]) -> None:
        self.at += 1
        nth = 0
        while self.skip(BLANK) < len(self.text) and not self.sees(end):
            one(path, nth)
            nth += 1
            self.skip(BLANK)
            self.at += 1 if self.sees(",") else 0
        self.at += 1

    def skip(self, pattern: re.Pattern[str]) -> int:
        found = pattern.match(self.text, self.at)
        self.at = found.end() if found else self.at
        return self.at

    def sees(self, what: str) -> bool:
        return self.text.startswith(what, self.at)

    def line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1
