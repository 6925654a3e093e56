"""One path for each rule of PEP 3333 that the tests look at."""

import hashlib
import io
import json
import os
import sys
import threading
import time
from urllib.parse import parse_qs

PAYLOAD = bytes(range(256)) * 1024
closed = []
files = []
kept = {}


class Closing:
    """An iterable that notes that it was closed."""

    def __init__(self, name, items):
        self.name = name
        self.items = iter(items)

    def __iter__(self):
        return self

    def __next__(self):
        return next(self.items)

    def close(self):
        closed.append(self.name)


def fail_after(*items):
    yield from items
    raise RuntimeError("the iterable failed")


def describe(value):
    if isinstance(value, (str, int, bool, type(None))):
        return value
    return list(value) if isinstance(value, tuple) else repr(value)


def environ_keys(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    document = {
        "values": {key: describe(value) for key, value in environ.items()},
        "not_exact_dict": type(environ) is not dict,
        "not_str": [key for key in environ if type(key) is not str],
        "input_methods": [
            name
            for name in ("read", "readline", "readlines", "__iter__")
            if hasattr(environ["wsgi.input"], name)
        ],
        "errors_methods": [
            name
            for name in ("write", "writelines", "flush")
            if hasattr(environ["wsgi.errors"], name)
        ],
    }
    return [json.dumps(document).encode()]


def echo(environ, start_response):
    body = environ["wsgi.input"].read()
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return [body]


def digest(environ, start_response):
    sha256 = hashlib.sha256()
    length = 0
    while chunk := environ["wsgi.input"].read(65536):
        sha256.update(chunk)
        length += len(chunk)
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps({"length": length, "sha256": sha256.hexdigest()}).encode()]


def input_calls(environ, start_response):
    """Makes the calls of ?call=read:3&call=readline: on wsgi.input and answers with the results."""
    stream = environ["wsgi.input"]
    results = []
    for call in parse_qs(environ["QUERY_STRING"])["call"]:
        name, argument = call.split(":")
        if name == "iterate":
            result = list(stream)
        else:
            arguments = [None if argument == "None" else int(argument)] if argument else []
            result = getattr(stream, name)(*arguments)
        results.append(
            [line.decode() for line in result] if isinstance(result, list) else result.decode()
        )
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(results).encode()]


def body_as(kind):
    def respond(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain")])
        return kind

    return respond


def generator(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"one "
    yield b""
    yield b"two "
    yield b"three"


def late_start(environ, start_response):
    """start_response is called by the first next(), as PEP 3333 allows."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"late"


def write_callable(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"written ")
    write(b"")
    write(b"twice ")
    return [b"and returned"]


def declared_length(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "11")])
    yield b"hello "
    yield b"world"


def too_short(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "100")])
    return [b"short"]


def too_long(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain"), ("Content-Length", "5")])
    return [b"hello, and more"]


def start_twice(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"never"]


def start_again_with_exc_info(environ, start_response):
    headers = [("Content-Type", "text/plain"), ("Content-Length", "999"), ("X-First", "1")]
    start_response("200 OK", headers)
    try:
        raise ValueError("changed my mind")
    except ValueError:
        headers = [("Content-Type", "text/html"), ("X-Second", "2")]
        start_response("503 Sorry", headers, sys.exc_info())
    return [b"<p>sorry</p>"]


def exc_info_after_body(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    yield b"begun "
    try:
        raise ValueError("too late to change")
    except ValueError:
        start_response("500 Late", [("Content-Type", "text/plain")], sys.exc_info())
    yield b"never"


def no_start(environ, start_response):
    return [b"never"]


def raise_at_once(environ, start_response):
    raise RuntimeError("the application failed")


def raise_in_first_item(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Closing("raise-first", fail_after())


def raise_midway(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Closing("raise-midway", fail_after(b"begun "))


def exit_in_application(environ, start_response):
    sys.exit(3)


def interrupt(environ, start_response):
    raise KeyboardInterrupt


def recurse(environ, start_response):
    return recurse(environ, start_response)


def exit_in_close(environ, start_response):
    class ExitsInClose(Closing):
        def close(self):
            super().close()
            sys.exit(4)

    start_response("200 OK", [("Content-Type", "text/plain")])
    return ExitsInClose("exit-in-close", [b"complete"])


def early_hints(environ, start_response):
    """Sends two, then the response; a third comes too late and does nothing."""
    send = environ["wsgi.early_hints"]
    send([("Link", "</style.css>; rel=preload; as=style")])
    send([("Link", "</script.js>; rel=preload; as=script"), ("X-Latin", "caf\u00e9")])
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"hin")
    send([("Link", "</late.css>")])
    return [b"ted"]


def early_hints_then_fail(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "</style.css>")])
    raise RuntimeError("the application failed")


def bad_early_hints(environ, start_response):
    environ["wsgi.early_hints"]([("Link", "a\r\nSet-Cookie: stolen=1")])


def early_hints_afterwards(environ, start_response):
    """Calls what belongs to an earlier request."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    late = kept.get("early_hints")
    kept["early_hints"] = environ["wsgi.early_hints"]
    try:
        if late:
            late([])
    except RuntimeError as error:
        return [str(error).encode()]
    return [b"kept"]


def write_then_file(environ, start_response):
    write = start_response("200 OK", [("Content-Type", "application/octet-stream")])
    write(b"first ")
    with_path = parse_qs(environ["QUERY_STRING"])["path"][0]
    return environ["wsgi.file_wrapper"](open(with_path, "rb"))


def endless_after_hints(environ, start_response):
    """Notices that the client is gone by the hints already."""
    for _ in range(100):
        environ["wsgi.early_hints"]([("Link", "</style.css>")])
        time.sleep(0.01)
    return endless(environ, start_response)


def close_descriptors(environ, start_response):
    os.closerange(3, 1000)
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [b"closed"]


def return_while_a_thread_writes(environ, start_response):
    """The write has begun when the application is through; it is waited for."""
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    write(b"begun ")
    block = b"x" * 50_000_000
    thread = threading.Thread(target=write, args=(block,))
    thread.start()
    time.sleep(0.001)
    return []


def write_from_threads(environ, start_response):
    """Several threads of the application write at once; each write is whole, or an error."""
    write = start_response("200 OK", [("Content-Type", "text/plain")])
    block = b"x" * 99_999 + b"\n"
    refused = []

    def run():
        for _ in range(20):
            try:
                write(block)
            except RuntimeError as error:
                refused.append(error)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return [f"refused {len(refused)}".encode()]


def str_body(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return ["text instead of bytes"]


def bad_header(name, value):
    def respond(environ, start_response):
        start_response("200 OK", [("Content-Type", "text/plain"), (name, value)])
        return [b"never"]

    return respond


def closing(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    return Closing(parse_qs(environ["QUERY_STRING"])["name"][0], [b"one ", b"two"])


def endless(environ, start_response):
    start_response("200 OK", [("Content-Type", "text/plain")])
    chunk = b"x" * 65536

    def chunks():
        while True:
            yield chunk

    return Closing("endless", chunks())


def closed_names(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(closed).encode()]


def status_only(status, headers=()):
    def respond(environ, start_response):
        start_response(status, list(headers))
        return Closing(status, [b"a body that must not be sent"])

    return respond


def close_errors(environ, start_response):
    environ["wsgi.errors"].write("no line end")
    environ["wsgi.errors"].close()
    return errors(environ, start_response)


def errors(environ, start_response):
    environ["wsgi.errors"].write("written to wsgi.errors: caf\u00e9\n")
    environ["wsgi.errors"].writelines(["first line\n", "second line\n"])
    environ["wsgi.errors"].flush()
    start_response("204 No Content", [])
    return []


def file(environ, start_response):
    """Serves ?path= from ?offset=, with ?length= as Content-Length if there is one."""
    query = parse_qs(environ["QUERY_STRING"])
    opened = open(query["path"][0], "rb")
    files.append(opened)
    opened.seek(int(query.get("offset", ["0"])[0]))
    headers = [("Content-Type", "application/octet-stream")]
    if "length" in query:
        headers.append(("Content-Length", query["length"][0]))
    start_response("200 OK", headers)
    return environ["wsgi.file_wrapper"](opened, 8192)


def write_only_file(environ, start_response):
    start_response("200 OK", [("Content-Length", "3")])
    return environ["wsgi.file_wrapper"](open(os.devnull, "wb", buffering=0))


def file_of_proc(environ, start_response):
    """A regular file that says it is empty."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return environ["wsgi.file_wrapper"](open("/proc/self/status", "rb"))


def open_files(environ, start_response):
    """How many of the files that were served have not been closed."""
    start_response("200 OK", [("Content-Type", "text/plain")])
    return [str(sum(not file.closed for file in files)).encode()]


def file_in_memory(environ, start_response):
    start_response("200 OK", [("Content-Type", "application/octet-stream")])
    return environ["wsgi.file_wrapper"](io.BytesIO(PAYLOAD))


ROUTES = {
    "/environ": environ_keys,
    "/echo": echo,
    "/digest": digest,
    "/input": input_calls,
    "/list": body_as([b"one ", b"two ", b"three"]),
    "/tuple": body_as((b"one ", b"two ", b"three")),
    "/single": body_as([b"just one"]),
    "/empty": body_as([]),
    "/generator": generator,
    "/late": late_start,
    "/write": write_callable,
    "/declared": declared_length,
    "/too-short": too_short,
    "/too-long": too_long,
    "/start-twice": start_twice,
    "/exc-info": start_again_with_exc_info,
    "/exc-info-late": exc_info_after_body,
    "/no-start": no_start,
    "/raise": raise_at_once,
    "/raise-first": raise_in_first_item,
    "/raise-midway": raise_midway,
    "/exit": exit_in_application,
    "/interrupt": interrupt,
    "/recurse": recurse,
    "/exit-in-close": exit_in_close,
    "/early-hints": early_hints,
    "/early-hints-fail": early_hints_then_fail,
    "/early-hints-bad": bad_early_hints,
    "/early-hints-afterwards": early_hints_afterwards,
    "/write-then-file": write_then_file,
    "/write-from-threads": write_from_threads,
    "/endless-after-hints": endless_after_hints,
    "/close-descriptors": close_descriptors,
    "/return-while-writing": return_while_a_thread_writes,
    "/str-body": str_body,
    "/header-newline": bad_header("X-Split", "a\r\nSet-Cookie: stolen=1"),
    "/header-name": bad_header("X Bad", "value"),
    "/header-type": bad_header("X-Number", 5),
    "/closing": closing,
    "/endless": endless,
    "/closed": closed_names,
    "/101": status_only("101 Switching Protocols"),
    "/204": status_only("204 No Content"),
    "/205": status_only("205 Reset Content"),
    "/304": status_only("304 Not Modified", [("ETag", '"x"')]),
    "/errors": errors,
    "/close-errors": close_errors,
    "/file": file,
    "/open-files": open_files,
    "/write-only-file": write_only_file,
    "/proc-file": file_of_proc,
    "/memory": file_in_memory,
}


def app(environ, start_response):
    return ROUTES[environ["PATH_INFO"]](environ, start_response)
