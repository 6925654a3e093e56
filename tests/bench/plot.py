"""The comparison as a picture."""

from pathlib import Path

COLOURS = {"gunid": "#1a7f37", "floor": "#8c959f", "paced floor": "#8c959f", "gunid, hello": "#aceebb", "bare loop": "#57606a", "uwsgi": "#bf8700",
           "gunicorn": "#cf222e", "waitress": "#8250df", "cheroot": "#0969da", "nginx": "#116329"}


def draw(rows, path: Path) -> None:
    """CPU per request of each server to gunid's, a line of dots for each workload."""
    import matplotlib

    matplotlib.use("svg")
    matplotlib.rcParams["svg.hashsalt"] = "gunid"  # the same figures make the same file
    from matplotlib import pyplot

    workloads = list(dict.fromkeys(row.workload for row in rows))
    figure, axes = pyplot.subplots(figsize=(9, 1.2 + 0.38 * len(workloads)))
    axes.axvline(1, color=COLOURS["gunid"], linewidth=2, label="gunid")
    for server in dict.fromkeys(row.server for row in rows):
        dots = [(row.ratios["cpu_us"], workloads.index(row.workload)) for row in rows
                if row.server == server != "gunid" and row.ratios["cpu_us"]]
        if dots:
            axes.scatter(*zip(*dots), label=server, color=COLOURS.get(server), s=42, zorder=3)
    axes.set_xscale("log")
    ticks = [0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50]
    axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    axes.minorticks_off()
    axes.set_yticks(range(len(workloads)), workloads)
    axes.invert_yaxis()
    axes.grid(axis="both", color="#d0d7de", linewidth=0.6)
    axes.set_xlabel("CPU time per request, gunid = 1 (less is better)")
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -1.1 / (0.38 * len(workloads) + 1.2)),
                ncol=8, frameon=False, fontsize=9)
    figure.savefig(path, bbox_inches="tight", metadata={"Date": None})
    pyplot.close(figure)
