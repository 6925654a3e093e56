"""Figures of a benchmark, with what they aim at, as a table and as JSON."""

from dataclasses import asdict, dataclass, field


@dataclass
class Figure:
    name: str
    value: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None
    samples: list[float] = field(default_factory=list)  # what the value was made from

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
            return f"<= {self.at_most:g}"
        return "" if self.at_least is None else f">= {self.at_least:g}"

    def document(self) -> dict:
        return asdict(self) | {"met": self.met}


def table(figures: list[Figure]) -> str:
    rows = [("figure", "value", "unit", "aim", "")]
    for figure in figures:
        verdict = {None: "", True: "met", False: "MISSED"}[figure.met]
        rows.append((figure.name, f"{figure.value:.4g}", figure.unit, figure.aim, verdict))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for name, value, unit, aim, verdict in rows:
        lines.append(f"{name:<{widths[0]}}  {value:>{widths[1]}}  {unit:<{widths[2]}}  "
                     f"{aim:<{widths[3]}}  {verdict}".rstrip())
    return "\n".join(lines)
