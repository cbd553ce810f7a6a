"""Which two series move together? Files to series, all pairs, correlation of each, the best pair.

driver run examples/correlation.py [folder of .csv files with lines `day,value`]

Without an argument it makes twelve series of prices, of which two follow one another.
"""

import random
import sys
import tempfile
from pathlib import Path
from statistics import correlation

from quiver import Context


def read_series(file: tuple[str, str]) -> tuple[str, list[float]]:
    path, text = file
    return Path(path).stem, [float(line.split(",")[1]) for line in text.splitlines() if line]


def compare(pair: tuple[tuple[str, list[float]], tuple[str, list[float]]]) -> tuple[float, str, str]:
    (name, values), (other, others) = pair
    return correlation(values, others), name, other


def make_prices(folder: str) -> None:
    chance = random.Random(1)
    for number in range(12):
        price, lines = 100.0, []
        for day in range(500):
            price *= 1 + chance.gauss(0, 0.01)
            lines.append(f"{day},{price:.4f}")
        Path(folder, f"stock{number:02d}.csv").write_text("\n".join(lines))
    leader = Path(folder, "stock03.csv").read_text().splitlines()
    follower = [f"{day},{float(price) * 1.1 + chance.gauss(0, 0.2):.4f}" for day, price in (line.split(",") for line in leader)]
    Path(folder, "stock07.csv").write_text("\n".join(follower))


def main(folder: str) -> None:
    with Context(appName="correlation") as sc:
        series = sc.wholeTextFiles(f"{folder}/*.csv").map(read_series)
        best = (
            series.cartesian(series)
            .filter(lambda pair: pair[0][0] < pair[1][0])  # each pair once, none with itself
            .map(compare)
            .max()
        )
        print(f"{best[1]} and {best[2]} move together: correlation {best[0]:.4f}")


if len(sys.argv) > 1:
    main(sys.argv[1])
else:
    with tempfile.TemporaryDirectory() as made:
        make_prices(made)
        main(made)
