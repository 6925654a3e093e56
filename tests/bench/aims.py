"""What the project aims at, as ratios within one run: one row per aim."""

import statistics

from figures import Figure

# Name; workload and server; what they are compared with; the most that the ratio of CPU may be (None: no aim).
OWN = "gunid"
HELLO = "gunid, hello"  # in turns with the workload
RATIOS = (
    ("hello: CPU to the floor's", ("hello", OWN), ("hello", "floor"), 1.20),
    ("connection per request: CPU to the floor's", ("connect", OWN), ("connect", "floor"), 1.5),
    ("connection per request: CPU to uWSGI's", ("connect", OWN), ("connect", "uwsgi"), 1.0),
    ("Flask: CPU to the bare loop's", ("flask", OWN), ("flask", "bare loop"), 1.10),
    ("Django: CPU to the bare loop's", ("django", OWN), ("django", "bare loop"), 1.10),
    ("Flask: CPU to the floor's at its pace", ("flask", OWN), ("flask", "paced floor"), None),
    ("Django: CPU to the floor's at its pace", ("django", OWN), ("django", "paced floor"), None),
    ("hello: CPU of 4 threads to 1", ("threads", OWN), ("threads", HELLO), 1.3),
    ("hello: CPU with access log to without", ("accesslog", OWN), ("accesslog", HELLO), 1.15),
    ("hello: CPU with 20 headers to the minimal request", ("headers", OWN), ("headers", HELLO), 1.25),
    ("hello: CPU beside 1,000 idle connections to without", ("idle", OWN), ("idle", HELLO), None),
    ("1 MB: CPU to uWSGI's", ("1MB", OWN), ("1MB", "uwsgi"), 1.0),
    ("1 MB: CPU to nginx's as a proxy of the floor", ("1MB", OWN), ("1MB", "nginx"), 1.0),
    ("file: CPU to uWSGI's", ("file", OWN), ("file", "uwsgi"), 1.0),
    ("file: CPU to nginx's as a proxy of the floor", ("file", OWN), ("file", "nginx"), 1.0),
)
SLEEPING = "10 ms sleep, 4 threads: of the ideal 400 requests/s"
STATISTICS = "hello: CPU of the statistics, of all of a request"
# Larger is better for the first, smaller for the others.
AGAINST_GUNICORN = (("requests/s", "requests_per_s", -1), ("CPU", "cpu_us", 1), ("p50", "p50_ms", 1),
                    ("p99", "p99_ms", 1), ("memory", "memory_mb", 1))


def ratio(samples: dict, ours: tuple[str, str], theirs: tuple[str, str]) -> list[float] | None:
    """Of the CPU time per request, repetition by repetition."""
    try:
        pairs = zip(samples[ours[0]][ours[1]], samples[theirs[0]][theirs[1]])
    except KeyError:  # was not measured
        return None
    return [one.cpu_us / other.cpu_us for one, other in pairs]


def against_gunicorn(rows: dict) -> list[Figure]:
    """The worst of each measure over all workloads."""
    figures = []
    for title, measure, sign in AGAINST_GUNICORN:
        worst: tuple[float, str] | None = None
        for (workload, server), row in rows.items():
            theirs = row.ratios[measure] if server == "gunicorn" else None
            if theirs:
                ours = theirs ** -sign
                worst = max(worst or (0.0, ""), (ours, workload))
        if worst:
            figures.append(Figure(f"{title}: the worst to Gunicorn's, {worst[1]}", worst[0],
                                  "ratio", at_most=1.0))
    return figures


def figures(rows: dict, samples: dict, statistics_ns: float) -> list[Figure]:
    found = []
    for name, ours, theirs, at_most in RATIOS:
        if ratios := ratio(samples, ours, theirs):
            found.append(Figure(name, statistics.median(ratios), "ratio", at_most=at_most,
                                samples=ratios))
    if ("hello", OWN) in rows:
        share = statistics_ns / 1e3 / rows["hello", OWN].values["cpu_us"] * 100
        found.append(Figure(STATISTICS, share, "%", at_most=3))
    if ("sleep", OWN) in rows:
        share = rows["sleep", OWN].values["requests_per_s"] / 400 * 100
        found.append(Figure(SLEEPING, share, "%", at_least=95))
    return found + against_gunicorn(rows)
