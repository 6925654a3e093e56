"""Figures of a benchmark, with what they aim at, as a table and as JSON."""

import statistics
from dataclasses import asdict, dataclass, field


@dataclass
class Figure:
    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    samples: list[float] = field(default_factory=list)  # what the value was made from
    gunicorn: float | None = None  # the same of Gunicorn

    @property
    def met(self) -> bool | None:
        """None: there is no aim."""
        if self.at_most is None and self.at_least is None:
            return None
        return ((self.at_most is None or self.value <= self.at_most)
                and (self.at_least is None or self.value >= self.at_least))

    @property
    def aim(self) -> str:
        if self.at_most is not None:
            return f"<= {self.at_most:.4g}"
        return "" if self.at_least is None else f">= {self.at_least:.4g}"

    def document(self) -> dict:
        return asdict(self) | {"met": self.met}


def median(name: str, unit: str, samples: list[float], gunicorn: list[float] = (),
           **aims: float) -> Figure:
    """Of all samples, and of Gunicorn's."""
    return Figure(name, statistics.median(samples), unit, samples=samples,
                  gunicorn=statistics.median(gunicorn) if gunicorn else None, **aims)


def least_ratio(name: str, ours: list[float], theirs: list[float], **aims: float) -> Figure:
    """Of the least of each, for differences of few per cent: what disturbs a machine only adds."""
    return Figure(name, min(ours) / min(theirs), "ratio",
                  samples=[one / other for one, other in zip(ours, theirs)], **aims)


def cells(figures: list[Figure]) -> list[tuple[str, ...]]:
    """The rows of a table, its head first."""
    rows = [("figure", "value", "unit", "aim", "", "Gunicorn")]
    for figure in figures:
        verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
        gunicorn = "" if figure.gunicorn is None else f"{figure.gunicorn:.4g}"
        rows.append((figure.name, f"{figure.value:.4g}", figure.unit, figure.aim, verdict, gunicorn))
    if all(figure.gunicorn is None for figure in figures):
        rows = [row[:-1] for row in rows]
    return rows


def table(figures: list[Figure]) -> str:
    rows = cells(figures)
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return "\n".join("  ".join(f"{cell:{'>' if column == 1 else '<'}{width}}"
                               for column, (cell, width) in enumerate(zip(row, widths))).rstrip()
                     for row in rows)


def markdown(figures: list[Figure]) -> str:
    head, *rows = cells(figures)
    lines = [head, ("---", "--:") + ("---",) * (len(head) - 2), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
