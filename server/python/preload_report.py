"""What the application leaves behind when it is preloaded and should not: threads, which do not exist in
the workers that are forked from this process, and sockets, which all of them would share.

Where they were made is noted by wrapping Thread.start and socket.__init__ while the import runs. An
audit hook would see the same and a little more, but cannot be taken out again: every worker would
pay for it in each import, open() and connect() of the application.
"""

import functools
import os
import socket
import sys
import threading
import time
import weakref
from _socket import SO_ACCEPTCONN, SOL_SOCKET
from _socket import socket as Socket

# For a thread that has been joined to be gone for the kernel, too.
DYING_SECONDS = 0.1

STANDARD_LIBRARY = os.path.dirname(os.__file__) + os.sep


def is_installed(path):
    return "site-packages" in path or "dist-packages" in path


def place():
    """FILE:LINE in FUNCTION of the application's innermost frame; of a library where it has none."""
    of_library = None
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        installed = is_installed(path)
        standard = path.startswith(STANDARD_LIBRARY) and not installed
        if not standard and not path.startswith("<"):
            text = f"{path}:{frame.f_lineno} in {frame.f_code.co_name}"
            if not installed:
                return text
            of_library = of_library or text
        frame = frame.f_back
    return of_library or "an unknown place"


class Wrapped:
    """A method that also notes the object and the place of the call, until it is restored."""

    def __init__(self, owner, name):
        self.owner, self.name = owner, name
        self.own = vars(owner).get(name)
        self.notes = notes = []  # (weak reference, place)
        original = getattr(owner, name)

        @functools.wraps(original)
        def method(self, *arguments, **keywords):
            result = original(self, *arguments, **keywords)
            notes.append((weakref.ref(self), place()))
            return result

        setattr(owner, name, method)

    def restore(self):
        if self.own is None:
            delattr(self.owner, self.name)
        else:
            setattr(self.owner, self.name, self.own)

    def living(self):
        """The objects that still exist, once each, with their first place."""
        found = {}
        for reference, where in self.notes:
            thing = reference()
            if thing is not None:
                found.setdefault(id(thing), (thing, where))
        return list(found.values())


def open_sockets():
    """Descriptors of this process that are sockets -> the kernel's name."""
    found = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{name}")
        except OSError:  # the descriptor of listdir itself
            continue
        if target.startswith("socket:"):
            found[int(name)] = target
    return found


def address_text(address):
    if isinstance(address, tuple) and len(address) >= 2:
        host, port = address[:2]
        return f"[{host}]:{port}" if ":" in str(host) else f"{host}:{port}"
    return os.fsdecode(address) if isinstance(address, (str, bytes)) else str(address)


def describe_socket(descriptor):
    duplicate = Socket(fileno=os.dup(descriptor))
    try:
        try:
            peer = duplicate.getpeername()
            return f"connected to {address_text(peer)}" if peer else "one of a pair"
        except OSError:
            pass
        name = duplicate.getsockname()
        if duplicate.getsockopt(SOL_SOCKET, SO_ACCEPTCONN):
            return f"listening at {address_text(name)}"
        bound = name and not (isinstance(name, tuple) and name[1] == 0)
        return f"bound to {address_text(name)}" if bound else "not connected"
    except OSError as error:
        return str(error)
    finally:
        duplicate.close()


def native_threads():
    """Names of this process's threads but the main one, by the kernel's number."""
    found = {}
    for number in os.listdir("/proc/self/task"):
        try:
            with open(f"/proc/self/task/{number}/comm", errors="replace") as comm:
                found[int(number)] = comm.read().strip()
        except OSError:  # it has ended meanwhile
            continue
    found.pop(os.getpid(), None)
    return found


class Report:
    """Made before the import; lines() ends it."""

    def __init__(self):
        self.sockets_before = open_sockets()
        self.threads_before = native_threads()
        self.starts = Wrapped(threading.Thread, "start")
        self.sockets = Wrapped(socket.socket, "__init__")

    def lines(self):
        self.sockets.restore()
        self.starts.restore()
        return [*self.thread_lines(), *self.socket_lines()]

    def thread_lines(self):
        places = {id(thread): where for thread, where in self.starts.living()}
        native = self.new_threads()
        threads = threading.enumerate()
        if native.keys() - {getattr(thread, "native_id", None) for thread in threads}:
            time.sleep(DYING_SECONDS)
            native = self.new_threads()
        for thread in threads:
            # gevent's are greenlets of the main thread, which live on.
            if native.pop(getattr(thread, "native_id", None), None) is None:
                continue
            where = places.get(id(thread), "an unknown place")
            yield (
                f"The preloaded application runs thread '{thread.name}', started at {where}: "
                "it will not run in the workers"
            )
        names = list(native.values())
        for name in sorted(set(names)):
            yield (
                f"The preloaded application runs {names.count(name)} thread(s) '{name}', started by "
                "C code: they will not run in the workers"
            )

    def new_threads(self):
        native = native_threads()
        return {number: native[number] for number in native.keys() - self.threads_before.keys()}

    def socket_lines(self):
        left = {
            descriptor: target
            for descriptor, target in open_sockets().items()
            if self.sockets_before.get(descriptor) != target
        }
        for thing, where in self.sockets.living():
            descriptor = thing.fileno()
            if left.pop(descriptor, None) is not None:
                yield (
                    f"The preloaded application has a socket open, {describe_socket(descriptor)}, "
                    f"made at {where}: all workers will share it"
                )
        for descriptor in sorted(left):
            yield (
                f"The preloaded application has a socket open, {describe_socket(descriptor)}, "
                "made by C code: all workers will share it"
            )
