"""Calls of loggers in a source, and what of them is no decision of its author's."""

import ast
from collections.abc import Iterator
from pathlib import Path

LOGGERS = frozenset({"log", "_log", "logger", "_logger"})
METHODS = frozenset({"debug", "info", "warning", "error", "exception", "critical", "bind"})
_BINDERS = frozenset({"bind_contextvars", "bound_contextvars"})
_OWN = frozenset({"exc_info"})
_TEXTS = frozenset({"str", "repr", "reason", "format_exc"})


def calls(path: Path) -> Iterator[ast.Call]:
    source = path.read_text("utf-8")
    if not ("structlog" in source or "getLogger" in source):
        return iter(())
    tree = ast.walk(ast.parse(source))
    return (node for node in tree if isinstance(node, ast.Call) and _logs(node.func))


def _logs(func: ast.expr) -> bool:
    if isinstance(func, ast.Name):
        return func.id in LOGGERS  # a method of a logger, chosen beforehand
    if not isinstance(func, ast.Attribute):
        return False
    if func.attr in _BINDERS:
        return True
    return func.attr in METHODS and _is_logger(func.value)


def _is_logger(value: ast.expr) -> bool:
    if isinstance(value, ast.Call):
        return "getlogger" in ast.unparse(value.func).lower().replace("_", "")
    name = value.attr if isinstance(value, ast.Attribute) else getattr(value, "id", "")
    return name in LOGGERS


def fields(call: ast.Call) -> set[str]:
    return {word.arg for word in call.keywords if word.arg} - _OWN


def faults(call: ast.Call) -> Iterator[str]:
    """Why nobody can tell from the source what the call writes."""
    if any(word.arg is None for word in call.keywords):
        yield "fields by **"
    if any(not isinstance(told, ast.Constant) for told in call.args[:1]) or len(call.args) > 1:
        yield "an event that is not one fixed text"
    if any(map(_is_text_of_error, call.keywords)):
        yield "the text of an error; give the error itself"


def _is_text_of_error(word: ast.keyword) -> bool:
    """By the name of the field, or of what it is made from."""
    value, about = word.value, f"{word.arg} {ast.unparse(word.value)}"
    called = isinstance(value, ast.Call) and getattr(value.func, "id", "") in _TEXTS
    return (called or isinstance(value, ast.JoinedStr)) and "error" in about


def unknown_loggers(path: Path) -> Iterator[str]:
    """Names of loggers that `calls` would not see."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Assign) and _makes_logger(node.value):
            yield from {ast.unparse(target) for target in node.targets} - LOGGERS


def _makes_logger(value: ast.expr) -> bool:
    made = isinstance(value, ast.Call) and ast.unparse(value.func)
    return made in ("structlog.get_logger", "get_logger")
