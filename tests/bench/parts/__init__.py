"""The parts of tests/bench/scale: one row and one module each."""

from parts import blocking, connections, control, importing, memory, supervisor
from parts.part import Part

PARTS = (
    Part("import", "an application that takes 1.5 s to import: start, scale, reload", importing.measure),
    Part("memory", "a Django project with 1, 8 and 32 workers", memory.measure),
    Part("connections", "10,000 idle connections on one worker", connections.measure),
    Part("supervisor", "CPU of 32 workers without requests, and of what supervises them",
         supervisor.measure),
    Part("control", "hello while the statistics are read 1,000 times per second", control.measure),
    Part("blocking", "threads that are blocked, requests that come at once", blocking.measure),
)
