"""What an application sees of its process, and processes that it leaves behind."""

import json
import os
import subprocess


def identity():
    return {
        "uids": os.getresuid(),
        "gids": os.getresgid(),
        "groups": sorted(os.getgroups()),
        "environment": sorted(os.environ),
        "can_read_own_environment": os.access("/proc/self/environ", os.R_OK),
    }


def descriptors_of_a_child():
    """What a program that the application starts has open beside standard input, output, error."""
    listing = subprocess.run(
        ["ls", "-l", "/proc/self/fd"], stdout=subprocess.PIPE, close_fds=False, check=True
    )
    return {"sockets": listing.stdout.decode().count("socket:")}


def leave_orphan():
    """A grandchild whose parent ends at once, and that ends when its pipe is read."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if child == 0:
        grandchild = os.fork()
        if grandchild != 0:
            os.write(write_end, b"%d" % grandchild)
        os._exit(0)
    os.waitpid(child, 0)
    os.close(write_end)
    with open(read_end, "rb") as pipe:
        return {"pid": int(pipe.read())}


HANDLERS = {"/identity": identity, "/child": descriptors_of_a_child, "/orphan": leave_orphan}


def app(environ, start_response):
    body = json.dumps(HANDLERS[environ["PATH_INFO"]]()).encode()
    start_response("200 OK", [("Content-Type", "application/json")])
    return [body]
