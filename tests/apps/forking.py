"""Requests that make processes of their own."""

import multiprocessing
import os
import subprocess
import sys
import time


def square(number):
    return number * number


def terminate():
    """The exit code of a child that was sent SIGTERM."""
    child = multiprocessing.Process(target=time.sleep, args=(3600,))
    child.start()
    child.terminate()
    child.join(20)
    return str(child.exitcode)


def pool():
    with multiprocessing.Pool(2) as workers:
        return str(workers.map(square, range(4)))


def fork_and_exit():
    """The child ends as Python programs do, inside the request."""
    child = os.fork()
    if child == 0:
        sys.exit(0)
    return str(os.waitpid(child, 0)[1])


def fork_and_return():
    """Parent and child return from the application: only one of them may answer."""
    return f"{os.getpid()} answers, {os.fork() and 'parent'}"


def fork_and_stay():
    """The child lives on."""
    child = os.fork()
    if child == 0:
        time.sleep(3600)
    return str(child)


def descriptors():
    """What a program that the application starts inherits besides its standard streams."""
    listing = subprocess.run(
        ["/bin/ls", "/proc/self/fd"], close_fds=False, stdout=subprocess.PIPE, text=True
    )
    return listing.stdout


HANDLERS = {
    "/terminate": terminate,
    "/pool": pool,
    "/exit": fork_and_exit,
    "/return": fork_and_return,
    "/stay": fork_and_stay,
    "/descriptors": descriptors,
    "/pid": lambda: str(os.getpid()),
}


def app(environ, start_response):
    body = HANDLERS[environ["PATH_INFO"]]()
    start_response("200 OK", [("Content-Type", "text/plain")])
    return iter([body.encode()])
