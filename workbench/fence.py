"""The child process of ``workbench.checker``: limits itself, then runs one reply's code and the asserts upon it.

Run as a script (``python -I -S -B fence.py JSON``), never imported by the workbench; knows the standard library only.
Writes one line to the output it was given for each thing that happened: ``ran``, ``pass 0``, ``crash ...``, ``end``.
"""

import builtins
import contextlib
import importlib
import io
import json
import os
import signal
import sys
import types

# All other audit events are refused: files, sockets, processes, sleeping, frames of tracebacks.
# namedtuple compiles and looks for its caller; modules that the standard library imports late need the rest.
HARMLESS = {"import", "compile", "exec", "marshal.loads", "os.listdir", "sys._getframe", "builtins.id"}
NEVER_IMPORTED = {"_ctypes", "_posixsubprocess", "_socket", "ctypes", "mmap", "socket", "subprocess"}
LIBRARY = os.path.dirname(os.__file__)
KEPT_CHARACTERS = 500


class Caught(contextlib.AbstractContextManager):
    """Holds whatever the block raised, SystemExit included: a reply may end its own code, not this process."""

    error: BaseException | None = None

    def __exit__(self, kind, error, trace):
        self.error = error
        return True


class Cut(io.StringIO):
    """An output that keeps its beginning only, so that a loop of prints fills no memory."""

    def write(self, text):
        return super().write(text[: max(0, KEPT_CHARACTERS - self.tell())])


def main(job: dict) -> None:
    """Runs ``job["code"]``, then each of ``job["tests"]``; tells through a descriptor that the code cannot name."""
    say = teller()
    limit(job["seconds"], job["megabytes"], say)
    sys.stdout = sys.stderr = printed = Cut()
    load(job["modules"], job["code"])
    sys.addaudithook(refuse)
    space = {"__name__": "reply", "__builtins__": fenced_builtins(job["modules"], job["refused"])}
    with Caught() as caught:
        exec(compile(job["code"], "<reply>", "exec"), space)  # noqa: S102 - what this process is for
        say("ran")
    if caught.error is not None:
        say(f"crash {told(caught.error)}")
    else:
        try_each(job["tests"], space, say)
        say(f"printed {json.dumps(printed.getvalue())}")
    say("end")
    os._exit(0)


def load(modules: list, code: str) -> None:
    """Imports what the code may ask for before the hook stands: some modules touch frames and classes as they load."""
    for name in modules:
        if name in code:
            importlib.import_module(name)
    if "strptime" in code:
        importlib.import_module("_strptime")


def try_each(tests: list, space: dict, say) -> None:
    """Every assert by itself: one that fails hides no other."""
    # What the reply calls `len` or `sorted` must not change what an assert means by it.
    judged = {name: value for name, value in space.items() if not hasattr(builtins, name)}
    judged["__builtins__"] = builtins.__dict__
    for number, test in enumerate(tests):
        with Caught() as caught:
            exec(compile(test, "<test>", "exec"), dict(judged))  # noqa: S102
            say(f"pass {number}")
        if caught.error is not None:
            say(f"fail {number} {told(caught.error)}")


def told(error: BaseException) -> str:
    """The error on one short line."""
    name = type(error).__name__
    with contextlib.suppress(BaseException):  # __str__ of an error class that the reply defined may raise anything
        return " ".join(f"{name}: {error}".split())[:160].rstrip(": ")
    return name


def teller():
    """Takes the output away from the code: descriptors 1 and 2 lead nowhere afterwards."""
    channel, nowhere = os.dup(1), os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(nowhere, descriptor)
    return lambda line: os.write(channel, (line + "\n").encode("utf-8", "replace"))


def limit(seconds: float, megabytes: int, say) -> None:
    """Processor time, memory, files and processes; where the system has no such limits, says "unlimited"."""
    try:
        import resource
    except ImportError:
        say("unlimited")
        return
    signal.setitimer(signal.ITIMER_PROF, seconds)  # counts processor time: a busy machine fails no honest answer
    room = megabytes * 2**20
    wanted = {
        resource.RLIMIT_CPU: int(seconds) + 2, resource.RLIMIT_AS: room, resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: 0, resource.RLIMIT_NPROC: 0, resource.RLIMIT_NOFILE: 32,
    }
    for kind, most in wanted.items():
        try:
            resource.setrlimit(kind, (most, most))
        except (ValueError, OSError):  # macOS takes no limit on address space
            say("unlimited")


def refuse(event: str, args: tuple) -> None:
    """The audit hook: what is not known to be harmless does not happen."""
    if event == "import" and args[0] in NEVER_IMPORTED:
        raise PermissionError(f"refused: import {args[0]}")
    if event == "object.__setattr__" and args[1] in ("__defaults__", "__module__"):  # namedtuple sets them
        return
    if event in HARMLESS or event == "open" and reads_library(*args):
        return
    raise PermissionError(f"refused: {event}")


def reads_library(path, mode, flags) -> bool:
    """Whether an open file is one of Python's own, opened for reading."""
    writing = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND
    return isinstance(path, str) and path.startswith(LIBRARY + os.sep) and ".." not in path and not flags & writing


def fenced_builtins(modules: list, refused: list) -> dict:
    """Python's builtins without the refused ones; ``import`` gives copies of the allowed modules' public names."""
    kept = {name: value for name, value in vars(builtins).items() if name not in refused}

    def allowed_import(name, globals=None, locals=None, fromlist=(), level=0):
        if level or name not in modules and name != "_strptime":  # which datetime asks for by the caller's import
            raise ImportError(f"refused: import {name}")
        copy = public(importlib.import_module(name))
        if "." in name and not fromlist:
            top, _, leaf = name.partition(".")
            parent = public(importlib.import_module(top))
            setattr(parent, leaf, copy)
            return parent
        return copy

    def type_of(value):
        """``type`` of one argument: with three it makes classes, which could then claim to equal everything."""
        if isinstance(value, type):
            raise TypeError("refused: the type of a type")
        return type(value)

    return {**kept, "__import__": allowed_import, "type": type_of}


def public(module) -> types.SimpleNamespace:
    """A module's public names without the modules it imports itself: ``typing.sys`` would lead out of the fence."""
    drop = {"Formatter", "ForwardRef", "get_type_hints", "evaluate_forward_ref"}  # they reach attributes, or eval, by string
    names = {name: getattr(module, name) for name in dir(module) if not name.startswith("_") and name not in drop}
    return types.SimpleNamespace(**{n: value for n, value in names.items() if not isinstance(value, types.ModuleType)})


if __name__ == "__main__":
    main(json.loads(sys.argv[1]))
