"""How unlike real ECGs are the simulated ones? The same measurements on PTB-XL and on a simulated cohort.

    python studies/simulator/compare_with_ptb_xl.py --data FOLDER --out runs/simulator_comparison

FOLDER holds ptb-xl in its official layout. Written to OUT: `comparison.csv` and `comparison.md` (each quantity's
distribution on both sides), `measured.csv` (one row a record), `source.csv` and `givers.csv` (how well a
classifier tells the two apart, and by what), and pages of strips, real and simulated in random order, with a key.

Records are matched: to each PTB-XL record a simulated one of the same sex and about the same age. "normal" are
PTB-XL's records with the statement NORM against simulated ones without any simulated disease.

`--skip_source` leaves classifiers and pictures out (a quick turn). `--simulated FILE.npz` compares signals from
elsewhere: arrays `signal` (record, 12, time) in mV and `fs` in Hz, and if known `age_years`, `female`, `diseased`.
"""

from __future__ import annotations

import argparse
import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from measure import UNITS, measure
from numpy.typing import NDArray
from pictures import draw_pages
from source_check import check_recorders, check_source

import openclef
from openclef.signal import LEADS
from openclef.store import Store

HERE = Path(__file__).parent
PERCENTILES = (5, 25, 50, 75, 95)
SHARES = ("irregular", "P found")  # 0 or 100 % in a record: their means are compared
SHOWN_LEADS = ("median", "I", "II", "V2", "V5")
AGE_WITHIN_YEARS = 6.0


@dataclass(frozen=True)
class Set:
    """ECGs of one side.

    Args:
        signal: (record, 12, time) in mV.
        fs: sampling rate in Hz.
        about: one row a record: record, subject, age_years, female, normal.
        measured: one row a record: the quantities of `measure`.
        source: where they come from.
    """

    signal: NDArray[np.float32]
    fs: float
    about: pd.DataFrame
    measured: pd.DataFrame
    source: str

    def take(self, rows: NDArray[np.intp]) -> Set:
        """The records of some rows."""
        about, measured = (t.iloc[rows].reset_index(drop=True) for t in (self.about, self.measured))
        return Set(self.signal[rows], self.fs, about, measured, self.source)


def read_ptb_xl(data: Path, out: Path, count: int | None) -> Set:
    """Convert PTB-XL at 500 Hz, or open what is there, and measure it once for this version of `measure.py`."""
    folder = out / "stores" / "ptb_xl"
    if (folder / "dataset.json").exists():
        store = openclef.open_store(folder)
    else:
        store = openclef.convert("ptb_xl", data / "ptb-xl", folder, fs=500)
    signal, about = _read(store)
    normal = store.records["ptb_xl/superdiagnostic/NORM"].eq(1).to_numpy()
    kept = np.flatnonzero(np.isfinite(signal).all(axis=(1, 2)))[:count]
    version = hashlib.sha256(
        b"".join((HERE / name).read_bytes() for name in ("measure.py", "delineate.py")) + kept.tobytes()
    ).hexdigest()[:12]
    cached = out / f"ptb_xl_measured_{version}.parquet"
    if not cached.exists():
        measure_all(signal[kept], store.fs).to_parquet(cached)
    about = about.assign(normal=normal).iloc[kept].reset_index(drop=True)
    return Set(signal[kept], store.fs, about, pd.read_parquet(cached), store.title)


def simulate(out: Path, count: int, seed: int) -> Set:
    """Simulate a cohort at 500 Hz with the package as it stands, and measure it."""
    folder = out / "stores" / "simulated"
    shutil.rmtree(folder, ignore_errors=True)
    store = openclef.simulate(folder, patients=count, seed=seed, fs=500)
    signal, about = _read(store)
    diseases = [c for task in store.tasks.values() if task.kind == "binary" for c in task.columns]
    about["normal"] = ~store.records[diseases].eq(1).any(axis=1)
    return Set(signal, store.fs, about, measure_all(signal, store.fs), store.info["source"])


def read_npz(file: Path) -> Set:
    """Read simulated signals from a file, and measure them."""
    with np.load(file, allow_pickle=False) as arrays:
        signal, fs = arrays["signal"].astype(np.float32), float(arrays["fs"])
        known = {name: arrays[name] for name in ("age_years", "female", "diseased") if name in arrays}
    about = pd.DataFrame({"subject": [f"simulated {row}" for row in range(len(signal))]})
    about["age_years"] = known.get("age_years", np.nan)
    about["female"] = known.get("female", np.nan)
    about["normal"] = ~np.asarray(known.get("diseased", np.zeros(len(signal)))).astype(bool)
    return Set(signal, fs, about, measure_all(signal, fs), file.name)


def _read(store: Store) -> tuple[NDArray[np.float32], pd.DataFrame]:
    records = store.records
    about = records[["record_id", "subject_id"]].set_axis(["record", "subject"], axis=1)
    about = about.assign(age_years=records["age_years"].astype(float))
    about["female"] = records["sex"].map({"female": 1.0, "male": 0.0})
    return store.read(slice(None), leads=LEADS), about


def measure_all(signal: NDArray[np.float32], fs: float) -> pd.DataFrame:
    """Measure every record of an array (record, 12, time) in mV."""
    from rich.progress import track

    rows = [measure(ecg, fs) for ecg in track(signal, description=f"measuring {len(signal)} records")]
    return pd.DataFrame(rows, columns=list(UNITS))


def match(real: pd.DataFrame, simulated: pd.DataFrame) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Pair real and simulated records of the same sex and about the same age, each used once.

    Args:
        real: age_years and female of the real records.
        simulated: the same of the simulated records.

    Returns:
        Rows of either side, pair by pair; the youngest and oldest may stay alone. Without ages of the simulated
        records: all rows.
    """
    if simulated["age_years"].isna().all():
        return np.arange(len(real)), np.arange(len(simulated))
    pairs, free = [], np.ones(len(simulated), bool)
    ages, female = simulated["age_years"].to_numpy(), simulated["female"].to_numpy()
    order = np.random.default_rng(0).permutation(len(real))
    for row in order:
        apart = np.abs(ages - real["age_years"].iloc[row])
        apart[~free | (female != real["female"].iloc[row])] = np.inf
        if np.isfinite(apart).any() and apart[best := int(np.nanargmin(apart))] <= AGE_WITHIN_YEARS:
            pairs.append((row, best))
            free[best] = False
    paired = np.array(sorted(pairs), dtype=np.intp).reshape(-1, 2)
    return paired[:, 0], paired[:, 1]


def compare(real: pd.DataFrame, simulated: pd.DataFrame) -> pd.DataFrame:
    """Compare the distributions of every quantity.

    Args:
        real: measured real records.
        simulated: measured simulated records.

    Returns:
        One row a quantity: counts measured, percentiles of both, share of simulated values within the real 1-99 %
        range, difference of medians in real standard deviations (from the quartiles), ratio of the 5-95 % widths,
        and `unlike`: why the quantity is unlike, or nothing.
    """
    rows = []
    for name, unit in UNITS.items():
        a, b = real[name].dropna().to_numpy(), simulated[name].dropna().to_numpy()
        row: dict[str, object] = {"quantity": name, "unit": unit}
        row["measured_real"], row["measured_simulated"] = len(a) / len(real), len(b) / len(simulated)
        if not len(a) or not len(b):
            rows.append(row | {"unlike": "" if len(a) == len(b) else "not measured on one side"})
            continue
        if name in SHARES:
            row["mean_real"], row["mean_simulated"] = a.mean(), b.mean()
            apart = f"{b.mean():.0f} % against {a.mean():.0f} %" if abs(a.mean() - b.mean()) > 10 else ""
            rows.append(row | {"unlike": apart})
            continue
        of_a, of_b = np.percentile(a, PERCENTILES), np.percentile(b, PERCENTILES)
        row |= {f"real_{p}": v for p, v in zip(PERCENTILES, of_a)}
        row |= {f"simulated_{p}": v for p, v in zip(PERCENTILES, of_b)}
        low, high = np.percentile(a, (1, 99))
        row["within_1_99"] = float(np.mean((b >= low) & (b <= high)))
        spread = (of_a[3] - of_a[1]) / 1.349 or a.std()
        row["difference_sd"] = (of_b[2] - of_a[2]) / spread if spread > 0 else np.nan
        widths = of_a[4] - of_a[0], of_b[4] - of_b[0]
        row["width_ratio"] = widths[1] / widths[0] if widths[0] > 0 else np.nan
        reasons = []
        if not of_a[0] <= of_b[2] <= of_a[4]:
            reasons.append("median too " + ("high" if of_b[2] > of_a[4] else "low"))
        if row["width_ratio"] < 0.5:
            reasons.append("spread too small")
        if row["width_ratio"] > 2:
            reasons.append("spread too large")
        lost = row["measured_real"] - row["measured_simulated"]
        if abs(lost) > 0.1:
            reasons.append(f"measured in {100 * row['measured_simulated']:.0f} %")
        rows.append(row | {"unlike": ", ".join(reasons)})
    return pd.DataFrame(rows)


def show(table: pd.DataFrame, title: str) -> None:
    """Print a comparison; the shares of power only of a few leads."""
    from rich.console import Console
    from rich.table import Table

    page = Table(title=title, row_styles=["", "dim"])
    heads = [
        "quantity",
        "unit",
        "PTB-XL 5 25 50 75 95 %",
        "simulated",
        "within 1-99",
        "diff SD",
        "width",
        "unlike",
    ]
    for head in heads:
        page.add_column(
            head, justify="left" if head in ("quantity", "unit", "unlike") else "right", no_wrap=True
        )
    for row in table.to_dict("records"):
        if _hidden(row["quantity"]):
            continue
        page.add_row(*_cells(row))
    console = Console(width=200) if not Console().is_terminal else Console()
    console.print(page)
    console.print(verdict(table))


def verdict(table: pd.DataFrame) -> str:
    """One line: the quantities that are unlike."""
    wrong = table[(table["unlike"] != "") & ~table["quantity"].map(_hidden)]
    listed = "; ".join(f"{row.quantity} ({row.unlike})" for row in wrong.itertuples())
    shown = int((~table["quantity"].map(_hidden)).sum())
    return f"VERDICT: {len(wrong)} of {shown} quantities are unlike PTB-XL: {listed or 'none'}"


def _hidden(quantity: str) -> bool:
    return quantity.startswith("share ") and quantity.rsplit(" ", 1)[1] not in SHOWN_LEADS


def _cells(row: dict) -> list[str]:
    if row["quantity"] in SHARES:
        means = f"{row['mean_real']:.1f}", f"{row['mean_simulated']:.1f}"
        return [row["quantity"], row["unit"], *means, "", "", "", row["unlike"]]
    if np.isnan(row["real_50"]) or np.isnan(row["simulated_50"]):
        return [row["quantity"], row["unit"], "", "", "", "", "", row["unlike"]]
    digits = 2 if row["unit"] == "mV" else 1 if max(abs(row["real_50"]), row["real_95"]) >= 10 else 2
    real = " ".join(f"{row[f'real_{p}']:.{digits}f}" for p in PERCENTILES)
    simulated = " ".join(f"{row[f'simulated_{p}']:.{digits}f}" for p in PERCENTILES)
    rest = [f"{100 * row['within_1_99']:.0f} %", f"{row['difference_sd']:+.2f}", f"{row['width_ratio']:.2f}"]
    return [row["quantity"], row["unit"], real, simulated, *rest, row["unlike"]]


def markdown(table: pd.DataFrame) -> str:
    """The table in Markdown, with its verdict."""
    heads = ["quantity", "unit", "PTB-XL 5 25 50 75 95 %", "simulated 5 25 50 75 95 %", "within 1-99 %"]
    heads += ["difference, SD", "ratio of widths", "unlike"]
    lines = ["| " + " | ".join(heads) + " |", "| --- | --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    lines += [
        "| " + " | ".join(c.replace("|", "\\|") for c in _cells(row)) + " |"
        for row in table.to_dict("records")
    ]
    return "\n".join([*lines, "", verdict(table)])


def tell_apart(sets: dict[str, tuple[Set, Set]], real: Set, data: Path, out: Path) -> list[str]:
    """Check how well simulated and real records are told apart; write the tables, give them in Markdown."""
    found, by_what = [], []
    for name, pair in sets.items():
        sides = [(s.signal, s.fs, s.about["subject"].to_numpy(), s.measured) for s in pair]
        rows, quantities = check_source(*sides, name)
        found.append(rows)
        by_what.append(quantities)
    recorders = pd.read_csv(data / "ptb-xl" / "ptbxl_database.csv", usecols=["ecg_id", "device"])
    device = real.about["record"].map(recorders.set_index(recorders["ecg_id"].astype(str))["device"])
    sides = real.signal, real.fs, real.about["subject"].to_numpy(), real.measured
    found.append(check_recorders(sides, device))
    table, quantities = pd.concat(found), pd.concat(by_what)
    table.round(4).to_csv(out / "source.csv", index=False)
    quantities.round(4).to_csv(out / "givers.csv", index=False)
    lines = [
        "## Told apart",
        "",
        "| records | features | classifier | AUROC | n |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in table.itertuples():
        auroc = f"{row.auroc:.3f} [{row.low:.3f}, {row.high:.3f}]"
        lines.append(
            f"| {row.records} | {row.features} | {row.classifier} | {auroc} | {row.n_0} + {row.n_1} |"
        )
    for name, part in quantities.groupby("records"):
        top = part.head(25)
        listed = ", ".join(f"{r.quantity} {r.auroc_alone:.2f}" for r in top.itertuples())
        lines += ["", f"Most telling alone ({name}; AUROC, above .5 = larger in simulated): {listed}."]
        top = part.nlargest(15, "importance")
        lines += ["", f"Most used by gradient boosting ({name}): {', '.join(top['quantity'])}."]
        top = part.iloc[part["coefficient"].abs().argsort()[::-1][:15]]
        listed = ", ".join(f"{r.quantity} {r.coefficient:+.2f}" for r in top.itertuples())
        lines += ["", f"Largest coefficients ({name}): {listed}."]
    print("\n".join(lines))
    return [*lines, ""]


def main() -> None:
    """Measure, compare, classify, draw."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder with ptb-xl")
    parser.add_argument("--out", type=Path, default=Path("runs/simulator_comparison"))
    parser.add_argument(
        "--patients", type=int, default=500, help="PTB-XL records; half as many again are simulated"
    )
    parser.add_argument(
        "--simulated", type=Path, help="an .npz of simulated signals instead of openclef.simulate"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--skip_source", action="store_true", help="no classifiers, no pictures")
    given = parser.parse_args()
    given.out.mkdir(parents=True, exist_ok=True)

    real = read_ptb_xl(given.data, given.out, given.patients)
    simulated = (
        read_npz(given.simulated)
        if given.simulated
        else simulate(given.out, given.patients * 3 // 2, given.seed)
    )
    lines, tables, sets = ["# Simulated and real ECGs", "", f"Simulated: {simulated.source}.", ""], [], {}
    for name in ("all", "normal"):
        a, b = real, simulated
        if name == "normal":
            a, b = (s.take(np.flatnonzero(s.about["normal"])) for s in (real, simulated))
        rows_a, rows_b = match(a.about, b.about)
        if min(len(rows_a), len(rows_b)) < 10:
            print(f"{name}: {len(rows_a)} real and {len(rows_b)} simulated records are too few to compare")
            continue
        a, b = a.take(rows_a), b.take(rows_b)
        sets[name] = a, b
        title = f"{name}: {len(a.about)} PTB-XL and {len(b.about)} simulated records"
        table = compare(a.measured, b.measured)
        tables.append(table.assign(records=name))
        lines += [f"## {title}", "", markdown(table), ""]
        show(table, title)
    pd.concat(tables).round(4).to_csv(given.out / "comparison.csv", index=False)
    each = [
        s.about.join(s.measured).assign(source=n) for n, s in (("ptb_xl", real), ("simulated", simulated))
    ]
    pd.concat(each).round(4).to_csv(given.out / "measured.csv", index=False)
    if not given.skip_source:
        lines += tell_apart(sets, real, given.data, given.out)
        a, b = sets["all"]
        files = draw_pages((a.signal, a.fs), (b.signal, b.fs), given.out)
        print(f"{len(files)} pages of strips are in {given.out}")
    (given.out / "comparison.md").write_text("\n".join(lines))
    print(f"comparison.csv and comparison.md are in {given.out}")


if __name__ == "__main__":
    main()
