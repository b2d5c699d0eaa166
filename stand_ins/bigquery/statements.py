"""Statements of a script: how it is cut into them, and how each is read."""

from __future__ import annotations

import functools
from dataclasses import dataclass

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from stand_ins.bigquery.errors import BigQueryError, RefusedError

_SCRIPTING = {"IF", "LOOP", "WHILE", "REPEAT", "FOR", "CALL", "RAISE", "EXECUTE", "EXCEPTION", "RETURN", "BREAK"}


@dataclass(frozen=True)
class Statement:
    """One statement.

    :param sql: its text
    :param word: its first word, upper case
    :param tokens: its tokens; their positions count from the text's start
    """

    sql: str
    word: str
    tokens: list[Token]

    def parse(self) -> exp.Expression:
        """Its syntax tree."""
        return parse(self.sql)

    def text_between(self, first: int, last: int) -> str:
        """The text from one token to another, both included."""
        return self.sql[self.tokens[first].start : self.tokens[last].end + 1]


@functools.lru_cache(maxsize=1000)
def split(script: str) -> tuple[Statement, ...]:
    """Cut a script at its semicolons."""
    try:
        tokens = sqlglot.tokenize(script, read="bigquery")
    except SqlglotError as error:
        raise BigQueryError("invalidQuery", f"Syntax error: {error}", "query") from None
    statements, current = [], []
    for token in [*tokens, Token(TokenType.SEMICOLON, ";")]:
        if token.token_type != TokenType.SEMICOLON:
            current.append(token)
            continue
        if current:
            start = current[0].start
            sql = script[start : current[-1].end + 1]
            own = sqlglot.tokenize(sql, read="bigquery")
            statements.append(_checked(Statement(sql, own[0].text.upper().split()[0], own)))
        current = []
    if not statements:
        raise BigQueryError("invalidQuery", "Syntax error: Unexpected end of script", "query")
    return tuple(statements)


def _checked(statement: Statement) -> Statement:
    words = " ".join(token.text.upper() for token in statement.tokens).split()
    if words[0] in _SCRIPTING or (words[0] == "BEGIN" and words[1:] not in ([], ["TRANSACTION"])) or words[0] == "END":
        raise RefusedError(f"the scripting statement {' '.join(words[:4])}")
    return statement


def parse(sql: str) -> exp.Expression:
    """The syntax tree of one statement."""
    return _parsed(sql).copy()


# The same statements come again and again, and a copy takes a fifth of the time.
@functools.lru_cache(maxsize=1000)
def _parsed(sql: str) -> exp.Expression:
    try:
        trees = sqlglot.parse(sql, read="bigquery")
    except SqlglotError as error:
        raise BigQueryError("invalidQuery", f"Syntax error: {error}", "query") from None
    if len(trees) != 1 or trees[0] is None:
        raise RefusedError(f"{sql[:80]}: it is no single statement")
    return trees[0]
