"""What the parts of the benchmark have in common: programs, CPUs, and how much is measured."""

from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import wrk
from figures import Figure
from gunid_process import GunidProcess

CONNECTIONS = 32  # of a load


@dataclass(frozen=True)
class Plan:
    repetitions: int = 8  # of what is compared
    wrk_s: int = 2
    warm_s: int = 1
    modes: tuple[tuple[str, ...], ...] = ((), ("--preload",))
    import_s: float = 1.5  # of the application
    imports: int = 3  # repetitions of starts, scaling and reloads
    started: int = 4  # workers of a start and a reload
    scaled: int = 8  # from one
    settles_s: tuple[int, ...] = (0, 1)  # --reload-settle, its default last
    memory_workers: tuple[int, ...] = (1, 8, 32)
    connections: int = 10_000
    idle_s: float = 30
    idle_workers: int = 32
    blocked_s: float = 5
    crowds: int = 3


FULL = Plan()
QUICK = Plan(repetitions=3, wrk_s=1, imports=1, idle_s=5, blocked_s=2, crowds=1)


@dataclass(frozen=True)
class Bench:
    plan: Plan
    programs: Path
    cpu: int  # of the server
    load_cpu: int

    @property
    def cpus(self) -> set[int]:
        """For what is about processes, not about requests: all."""
        return {self.cpu, self.load_cpu}

    def warm(self, server: GunidProcess) -> None:
        """Requests before those that are measured."""
        if self.plan.warm_s:
            wrk.run(server.url(), self.plan.warm_s, CONNECTIONS)


@dataclass(frozen=True)
class Part:
    name: str
    about: str
    measure: Callable[[Bench], list[Figure]]
