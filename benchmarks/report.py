"""The tables and the plot."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

#: Share of the machine; more than this taken by others is told.
NOISE = 0.1

HEAD = (
    "way",
    "wall, s",
    "times bare",
    "CPU, s",
    "times bare",
    "memory, MiB",
    "largest task, MiB",
    "slot, s",
    "task runs",
    "requests per item",
    "seen after, s",
    "failed tries",
    "pictures",
    "vendor, s per job",
)

#: One colour and one marker for each row, told apart also without colour.
STYLES = {
    "bare": ("#555555", "o", "-"),
    "python": ("#c44e52", "s", "-"),
    "http": ("#dd8452", "D", "-"),
    "mapped": ("#4c72b0", "^", "-"),
    "mapped_on_worker": ("#4c72b0", "v", "--"),
    "mapped_archives": ("#8172b3", "<", "-"),
    "batch": ("#55a868", "P", "-"),
    "chain_bare": ("#555555", "o", "--"),
    "chain_mapped": ("#4c72b0", "^", ":"),
    "chain_batch": ("#55a868", "P", "--"),
}


def write_tables(
    path: Path, raw: Mapping[str, Any], suite: str, groups: Mapping[str, Mapping[str, str]]
) -> None:
    """
    Put the tables between the markers of their suite in a file, or into a new file.

    :param groups: The rows of each table, and what each includes.
    """
    begin, end = f"<!-- {suite} begin -->", f"<!-- {suite} end -->"
    text = f"{begin}\n\n{tables(raw, groups)}\n{end}"
    path.parent.mkdir(parents=True, exist_ok=True)
    before, after = "# Performance\n\n", "\n"
    if path.exists():
        old = path.read_text()
        if begin in old and end in old:
            before, after = old.partition(begin)[0], old.partition(end)[2]
    path.write_text(before + text + after)


def tables(raw: Mapping[str, Any], groups: Mapping[str, Mapping[str, str]]) -> str:
    """What was measured on, then one table for each group of rows and each number of items."""
    about = raw["about"]
    intro = (
        f"Measured on {about['cores']} cores and {about['memory_gib']} GiB, Python {about['python']}; a job takes "
        f"{about['job_seconds']:g} s at the vendor; Airflow with PostgreSQL runs {about['parallelism']} tasks at "
        f"once; scripts and batches have {about['concurrency']} jobs under way. CPU includes what Airflow and its "
        f"database take when idle, {about['idle_rate']:.2f} s per second here, and not the vendor's.\n"
    )
    parts = [intro]
    for group, rows in groups.items():
        entries = [entry for entry in raw["figures"] if entry["row"] in rows]
        for size in sorted({entry["size"] for entry in entries}):
            found = {entry["row"]: entry for entry in entries if entry["size"] == size}
            parts += [f"### {size} {group}\n", table(raw, rows, found, size)]
            noisy = [
                f"`{row}` {e['others_share']:.0%}" for row, e in found.items() if e["others_share"] > NOISE
            ]
            if noisy:
                parts.append(f"Not alone on the machine; others took a share of it: {', '.join(noisy)}.\n")
    return "\n".join(parts)


def table(raw: Mapping[str, Any], rows: Mapping[str, str], found: Mapping[str, Any], size: int) -> str:
    """One table, with the rows that were left out for a reason."""
    bare = next((entry for row, entry in found.items() if row.endswith("bare")), None)
    # Without a script to compare with, two columns would be empty.
    shown = [name != "times bare" or bare is not None for name in HEAD]
    lines = [list(HEAD), ["---", *["---:"] * (len(HEAD) - 1)]]
    for row, title in rows.items():
        reason = raw["skipped"].get(row) or raw["skipped"].get(f"{row}_{size}")
        if row in found:
            lines.append([f"`{row}`: {title}", *line(found[row], bare)])
        elif reason:
            lines.append([f"`{row}`: {title}", f"not run: {reason}", *[""] * (len(HEAD) - 2)])
    return "".join(
        f"| {' | '.join(cell for cell, is_shown in zip(cells, shown, strict=True) if is_shown)} |\n"
        for cells in lines
    )


def line(entry: Mapping[str, Any], bare: Mapping[str, Any] | None) -> list[str]:
    """The cells of one row."""

    def ratio(name: str) -> str:
        return figure(entry[name] / bare[name]) if bare else ""

    wall = figure(entry["wall"])
    if entry["state"] != "success":
        wall += f" ({entry['state']})"
    return [
        wall,
        ratio("wall"),
        figure(entry["cpu"]),
        ratio("cpu"),
        f"{entry['peak_mib']:.0f}",
        f"{entry['task_mib']:.0f}",
        figure(entry["slot_seconds"]),
        "-" if entry["task_runs"] is None else str(entry["task_runs"]),
        f"{entry['requests_per_item']:.1f}",
        figure(entry["seen_delay"]),
        "-" if entry["failed_tries"] is None else str(entry["failed_tries"]),
        str(entry["pictures"]),
        f"{entry['vendor_job']:.1f}",
    ]


def figure(value: float | None) -> str:
    """Three digits at most that mean something."""
    if value is None:
        return "-"
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:.0f}"


def plot(path: Path, raw: Mapping[str, Any]) -> None:
    """Wall time, and processor time per swap, over the number of swaps."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt
    from matplotlib.ticker import FuncFormatter, LogLocator

    sizes = sorted({entry["size"] for entry in raw["figures"]})
    figure_, axes = plt.subplots(1, 2, figsize=(12, 5.2), dpi=150)
    panels = (
        (axes[0], "Wall time", "seconds until the last picture is on disk", lambda entry: entry["wall"]),
        (axes[1], "Processor time per swap", "CPU seconds per swap", lambda e: e["cpu"] / e["size"]),
    )
    for axis, title, label, value in panels:
        for row, (colour, marker, style) in STYLES.items():
            found = [entry for entry in raw["figures"] if entry["row"] == row and entry["state"] == "success"]
            if not found:
                continue
            found.sort(key=lambda entry: entry["size"])
            axis.plot(
                [entry["size"] for entry in found],
                [value(entry) for entry in found],
                color=colour,
                marker=marker,
                linestyle=style,
                linewidth=2,
                markersize=7,
                label=row,
            )
        axis.set(xscale="log", yscale="log", title=title, xlabel="swaps", ylabel=label)
        axis.set_xticks(sizes, [str(size) for size in sizes])
        axis.minorticks_off()
        axis.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axis.yaxis.set_major_formatter(FuncFormatter(lambda number, _: f"{number:g}"))
        axis.grid(alpha=0.3)
    handles, labels = axes[0].get_legend_handles_labels()
    about = raw["about"]
    figure_.suptitle(
        f"The same face swaps in {len(labels)} ways: {about['job_seconds']:g} s per job at the vendor, "
        f"{about['parallelism']} Airflow tasks at once, {about['cores']} cores"
    )
    figure_.legend(handles, labels, loc="lower center", ncols=len(labels), frameon=False)
    figure_.tight_layout(rect=(0, 0.07, 1, 1))
    path.parent.mkdir(parents=True, exist_ok=True)
    figure_.savefig(path)
    plt.close(figure_)
