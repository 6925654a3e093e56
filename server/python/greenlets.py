"""The gevent worker's half in Python: gevent's hub drives the engine, and each request runs in a
greenlet of its own.

All of this runs on the main thread. `worker` is a GreenletWorker (python/executor_greenlets.cc).
"""

import signal

from gevent import get_hub, sleep
from greenlet import getcurrent, greenlet
from gunid import RequestTimeout

PAUSE = 0.005  # seconds between two looks at a client that does not take its response
MOST_FRAMES = 100  # of one stack, as faulthandler


def pause():
    """Lets the other greenlets run for a moment."""
    sleep(PAUSE)


def describe(serial, task):
    """The stack of a request's greenlet, in faulthandler's words."""
    lines = [f"Greenlet {id(task):#x} (request {serial}) (most recent call first):"]
    frame = task.gr_frame
    while frame is not None and len(lines) <= MOST_FRAMES:
        code = frame.f_code
        lines.append(f'  File "{code.co_filename}", line {frame.f_lineno} in {code.co_name}')
        frame = frame.f_back
    if frame is not None:
        lines.append("  ...")
    return "\n".join(lines) + "\n"


class Greenlets:
    """The greenlets of the requests that are being executed."""

    def __init__(self, worker, requests, interrupt_signal):
        self.worker = worker
        self.requests = requests  # by serial; `worker` takes out those that have ended
        self.hub = get_hub()
        self.main = getcurrent()
        self.cancelled = []  # serials whose greenlets are to be interrupted
        self.timer = None
        self.watcher = self.hub.loop.io(worker.fd(), 1)  # READ
        self.watcher.start(worker.pump)
        # Sets the timer. In the hub: it must be running before it is the parent of a greenlet.
        self.hub.loop.run_callback(worker.pump)
        signal.signal(interrupt_signal, self.on_interrupt)

    def wait(self):
        """Main greenlet. Returns after wake(), and whether the hub goes on; raises what gevent
        throws at it because a greenlet of the application raised it (SystemExit)."""
        try:
            self.hub.switch()
        except SystemError:  # its loop cannot wait any more: the descriptor was closed
            return False
        return not self.hub.dead

    def wake(self):
        """Ends wait()."""
        self.hub.loop.run_callback(self.main.switch)

    def close(self):
        self.watcher.stop()
        if self.timer is not None:
            self.timer.stop()

    def start(self, serial):
        """In the hub. Returns when the request waits for something, or has ended."""
        # Its parent is the hub, so nobody else is switched to when it ends.
        task = self.requests[serial] = greenlet(self.worker.execute, self.hub)
        task.switch(serial)

    def set_timer(self, delay):
        """In the place of the last one. Fires no sooner than other events were handled."""
        if self.timer is not None:
            self.timer.stop()
        self.timer = self.hub.loop.timer(delay)
        self.timer.start(self.worker.on_timer)

    # From other threads, by way of `worker`.

    def cancel(self, serials):
        """In the hub, so that all greenlets of requests wait for something."""
        self.cancelled += serials
        while self.cancelled:
            task = self.requests.get(self.cancelled.pop())
            if task is not None:
                task.throw(RequestTimeout)

    def on_interrupt(self, number, frame):
        """In whatever greenlet runs: the one that is meant may hold up the hub."""
        self.cancelled += self.worker.take_cancelled()
        current = getcurrent()
        for serial in self.cancelled:
            if self.requests.get(serial) is current:
                self.cancelled.remove(serial)
                raise RequestTimeout

    def stacks(self):
        """In the hub."""
        return "\n".join(describe(*item) for item in sorted(self.requests.items()))
