"""Configuration: the table of keys, and `Conf`, which holds the values that a program, its submitter and the environment gave."""

from __future__ import annotations

import difflib
import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import overload

from quiver_proto.errors import BadSetting
from quiver_proto.units import parse_memory

log = logging.getLogger("quiver.conf")

MASTER, APP_NAME = "spark.master", "spark.app.name"
_DURATION = re.compile(r"\s*\d+(\.\d+)?\s*(ms|s|m|min|h|d)?\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Key:
    """One setting: `kind` is text, count, memory, duration, flag, fraction or eviction; `default` as it would be written ("" is: none)."""

    name: str
    kind: str
    default: str
    meaning: str
    aliases: tuple[str, ...] = ()


KEYS: tuple[Key, ...] = (
    Key(MASTER, "text", "local[*]", "Where the application runs: inline, local[N], local-cluster[n,c,m], quiver://host:port, quiver-driver://…"),
    Key(APP_NAME, "text", "", "The name shown on pages and in logs."),
    Key("spark.home", "text", "", "Where Spark is; it changes nothing here."),
    Key("spark.default.parallelism", "count", "", "Partitions of parallelize and of shuffles where the program names no number."),
    Key("spark.executor.memory", "memory", "", "Memory of one executor; by default its share, by cores, of its node's."),
    Key("spark.executor.cores", "count", "", "Cores of one executor; all of a node's by default."),
    Key("spark.executor.instances", "count", "", "How many executors to ask for."),
    Key("spark.cores.max", "count", "", "Cores that the application may have in all.", ("quiver.cores.max",)),
    Key("spark.driver.memory", "memory", "", "Memory that the driver's process may use; advice only."),
    Key("spark.task.cpus", "count", "1", "Cores that one task claims."),
    Key("spark.task.maxFailures", "count", "4", "Attempts at one task before its job fails."),
    Key("spark.stage.maxConsecutiveAttempts", "count", "4", "Attempts at one stage whose inputs are lost again and again."),
    Key("spark.barrier.sync.timeout", "duration", "365d", "How long tasks of a barrier stage wait for one another."),
    Key("spark.scheduler.barrier.maxConcurrentTasksCheck.interval", "duration", "15s", "How long a barrier stage waits for slots …"),
    Key("spark.scheduler.barrier.maxConcurrentTasksCheck.maxFailures", "count", "1", "… so many times, before its job fails."),
    Key("spark.locality.wait", "duration", "3s", "How long a task waits for a slot near its data."),
    Key("quiver.job.noProgressLimit", "duration", "120s", "A job that can start nothing for this long fails with the reason."),
    Key("quiver.skew.factor", "count", "5", "A partition of more than this many times the median size is told as skewed."),
    Key("quiver.skew.thresholdBytes", "memory", "64m", "A partition smaller than this is never told as skewed."),
    Key("quiver.driver.maxResultSize", "memory", "1g", "Bytes that one job's results may have.", ("spark.driver.maxResultSize",)),
    Key("quiver.local.dir", "text", "", "Folder for shuffle files and spills in local mode (nodes: --local-dir).", ("spark.local.dir",)),
    Key("quiver.local.quota", "memory", "", "Bytes that the application's blocks may take on one node; no limit by default."),
    Key("quiver.storage.memoryFraction", "fraction", "0.5", "Share of an executor's memory that cached partitions may take."),
    Key("spark.shuffle.readHostLocalDisk", "flag", "true", "Read blocks of other nodes on the same machine from its disk."),
    Key("quiver.storage.eviction", "eviction", "lru", "Which cached partitions go first: lru, or cost (cheap to make, large)."),
    Key("quiver.sql.oneTask.maxBytes", "memory", "4g", "A query that reads at most this much is one task with all of an executor's cores."),
    Key("quiver.sql.parquet.verifyChecksums", "flag", "false", "Compare the checksums of Parquet's pages: reads are slower."),
    Key("quiver.sql.partitions", "count", "", "Partitions of a query's shuffles; by default by bytes.", ("spark.sql.shuffle.partitions",)),
    Key("spark.sql.session.timeZone", "text", "", "The time zone in which timestamps are shown and read; by default the machine's."),
    Key("spark.sql.ansi.enabled", "flag", "true", "What can't be computed is an error; false is refused."),
    Key("spark.sql.execution.arrow.pyspark.enabled", "flag", "true", "Rows always travel as Arrow batches; it changes nothing here."),
    Key("spark.sql.warehouse.dir", "text", "spark-warehouse", "Folder of the tables that are made without a path."),
    Key("spark.sql.sources.default", "text", "parquet", "The format of reads and writes that name none."),
    Key("spark.sql.sources.partitionOverwriteMode", "text", "static", "dynamic: an overwrite replaces only the partitions that get rows."),
    Key("spark.sql.parquet.compression.codec", "text", "snappy", "How Parquet files are compressed that are written."),
    Key("spark.sql.orc.compression.codec", "text", "zstd", "The same for ORC."),
    Key("spark.sql.avro.compression.codec", "text", "deflate", "The same for Avro."),
    Key("spark.sql.files.maxRecordsPerFile", "text", "0", "Rows that a written file may have; 0: any number."),
    Key("spark.sql.jsonGenerator.ignoreNullFields", "flag", "true", "Leave nulls out of JSON that is written."),
    Key("quiver.sql.write.fileBytes", "memory", "1g", "About how large a file that a DataFrame writes gets before the next one is begun."),
    Key("spark.sql.autoBroadcastJoinThreshold", "text", "10m", "A join's side up to this size is given whole to every task; -1: none is."),
    Key("spark.sql.cbo.joinReorder.enabled", "flag", "true", "Do inner joins in the order that promises the fewest rows on the way."),
    Key("spark.sql.adaptive.enabled", "flag", "true", "Plan stages anew by the sizes of those before them."),
    Key("spark.sql.adaptive.advisoryPartitionSizeInBytes", "memory", "64m", "Small shuffle partitions are put together up to this size."),
    Key("spark.sql.adaptive.coalescePartitions.enabled", "flag", "true", "Put small shuffle partitions together."),
    Key("spark.sql.adaptive.coalescePartitions.minPartitionSize", "memory", "1m", "… to at least this size, even if cores then idle."),
    Key("spark.sql.adaptive.autoBroadcastJoinThreshold", "text", "", "As spark.sql.autoBroadcastJoinThreshold, of sizes that are known."),
    Key("spark.sql.adaptive.skewJoin.enabled", "flag", "true", "Split skewed partitions of a join's side."),
    Key("spark.sql.adaptive.skewJoin.skewedPartitionFactor", "text", "5", "Skewed: of more than this many times the median size …"),
    Key("spark.sql.adaptive.skewJoin.skewedPartitionThresholdInBytes", "memory", "256m", "… and larger than this."),
    Key("quiver.eventLog.dir", "text", "~/.quiver/events", "Folder of the event log.", ("spark.eventLog.dir",)),
    Key("quiver.secret.file", "text", "", "File that holds the cluster's secret."),
    Key("quiver.pickle.key.file", "text", "", "File with the key that pickle files are signed with; by default `~/.quiver/pickle.key`."),
    Key("quiver.pickle.trustAll", "flag", "false", "Let pickleFile open files whoever wrote them: opening a pickle can run any code."),
    Key("quiver.tls.cert", "text", "", "With quiver.tls.ca: the driver's certificate, shown to executors that fetch broadcasts from it."),
    Key("quiver.tls.key", "text", "", "Private key of quiver.tls.cert."),
    Key("spark.driver.host", "text", "", "Name or address of this machine that executors are told, to fetch broadcasts."),
    Key("spark.driver.bindAddress", "text", "", "Address to serve broadcasts on; by default that from which the manager is reached."),
    Key("spark.driver.blockManager.port", "number", "0", "Port on which broadcasts are served; 0 takes any free one."),
    Key("quiver.tls.ca", "text", "", "File with the certificates that daemons are trusted by; no TLS by default."),
    Key("spark.ui.enabled", "flag", "true", "Serve the UI."),
    Key("spark.ui.port", "number", "4040", "The UI's port; the next free one where it is taken, 0 for any."),
    Key("spark.ui.showConsoleProgress", "flag", "true", "Draw progress bars on a terminal."),
    Key("spark.submit.pyFiles", "text", "", "Python files and archives that tasks can import, separated by commas."),
    Key("spark.files", "text", "", "Files and folders that tasks get (Context.addFile), separated by commas."),
    Key("spark.archives", "text", "", "Archives that tasks get unpacked (Context.addArchive), separated by commas; `#name` renames."),
    Key("spark.files.overwrite", "flag", "false", "May a file be added whose name an added file of other content has?"),
    Key("spark.scheduler.resource.profileMergeConflicts", "flag", "false", "Merge resource profiles that meet in one stage."),
    Key("spark.python.profile", "flag", "false", "Profile tasks: see Context.show_profiles."),
    Key("spark.python.profile.memory", "flag", "false", "As in Spark, for user-defined functions of SQL; nothing for RDDs."),
    Key("spark.python.profile.dump", "text", "", "Folder for the profiles when the program ends, instead of printing them."),
    Key("spark.scheduler.pool", "text", "default", "The pool that jobs go to."),
)  # fmt: skip

SYSTEM_PROPERTIES: dict[str, str] = {}
"""What Context.setSystemProperty set in this process."""

_BY_NAME = {name: key for key in KEYS for name in (key.name, *key.aliases)}
_BY_VARIABLE = {"QUIVER_CONF_" + re.sub(r"[^A-Z0-9]", "_", name.upper()): name for name in _BY_NAME}
_OPEN_PREFIXES = ("spark.executorEnv.", "spark.executor.resource.", "spark.task.resource.", "spark.driver.resource.", "spark.hadoop.fs.")


def _check_count(name: str, value: str) -> None:
    if not value.strip().isdigit() or int(value) < 1:
        raise BadSetting(name, value, "must be a whole number of at least 1")


def _check_number(name: str, value: str) -> None:
    if not value.strip().isdigit():
        raise BadSetting(name, value, "must be a whole number of at least 0")


def _check_memory(name: str, value: str) -> None:
    parse_memory(value, name)


def _check_duration(name: str, value: str) -> None:
    if _DURATION.fullmatch(value) is None:
        raise BadSetting(name, value, "must be a duration such as 3s, 500ms or 2min")


def _check_flag(name: str, value: str) -> None:
    if value.lower() not in ("true", "false"):
        raise BadSetting(name, value, "must be true or false")


def _check_fraction(name: str, value: str) -> None:
    try:
        inside = 0.0 <= float(value) <= 1.0
    except ValueError:
        inside = False
    if not inside:
        raise BadSetting(name, value, "must be a number from 0 to 1")


def _check_eviction(name: str, value: str) -> None:
    if value not in ("lru", "cost"):
        raise BadSetting(name, value, "must be lru or cost")


_CHECKS: Mapping[str, Callable[[str, str], None]] = {
    "count": _check_count,
    "number": _check_number,
    "memory": _check_memory,
    "duration": _check_duration,
    "flag": _check_flag,
    "fraction": _check_fraction,
    "eviction": _check_eviction,
}


def check(name: str, value: str) -> None:
    """Refuse what can't be meant: a bad value of a known key, or an unknown `quiver.*` key.

    Raises BadSetting (with the likely key), BadMemoryString. An unknown `spark.*` key is accepted with a warning in the log:
    it may have a meaning in Spark that does not exist here.
    """
    key = _BY_NAME.get(name)
    if key is not None:
        if key.kind in _CHECKS:
            _CHECKS[key.kind](name, value)
    elif name.startswith("quiver."):
        near = difflib.get_close_matches(name, _BY_NAME, 1, 0.6)
        advice = f"did you mean {near[0]}?" if near else f"known keys: {', '.join(sorted(n for n in _BY_NAME if n.startswith('quiver.')))}"
        raise BadSetting(name, value, f"there is no such key; {advice}")
    elif name.startswith("spark.") and not name.startswith(_OPEN_PREFIXES):
        near = difflib.get_close_matches(name, _BY_NAME, 1, 0.85)
        log.warning("setting %s has no meaning in Quiver and is kept as it is%s", name, f" (did you mean {near[0]}?)" if near else "")


class Conf:
    """Settings of an application, as text. `SparkConf` is another name for it.

    Starts with what the environment gives (unless `loadDefaults` is False): `QUIVER_CONF_JSON` (an object of settings, as
    `driver run` passes them), `QUIVER_CONF_<KEY>` with the key in capitals and underscores, `QUIVER_MASTER`, `QUIVER_APP_NAME`;
    later ones win; then what Context.setSystemProperty set. Every setter returns the Conf, so calls can be chained.

    >>> from quiver import Conf
    >>> conf = Conf(loadDefaults=False).setAppName("words").set("spark.executor.memory", "2g")
    >>> conf.get("spark.executor.memory")
    '2g'
    """

    def __init__(self, loadDefaults: bool = True, environ: Mapping[str, str] | None = None) -> None:
        self._values: dict[str, str] = {}
        if loadDefaults:
            self._load(os.environ if environ is None else environ)

    def _load(self, environ: Mapping[str, str]) -> None:
        given = environ.get("QUIVER_CONF_JSON")
        if given:
            try:
                settings = json.loads(given)
            except ValueError as error:
                raise BadSetting("QUIVER_CONF_JSON", given, f"must be a JSON object ({error})") from None
            if not isinstance(settings, dict):
                raise BadSetting("QUIVER_CONF_JSON", given, "must be a JSON object")
            self.setAll(settings.items())
        for variable, value in environ.items():
            if variable.startswith("QUIVER_CONF_") and variable != "QUIVER_CONF_JSON":
                name = _BY_VARIABLE.get(variable)
                if name is None:
                    near = difflib.get_close_matches(variable, _BY_VARIABLE, 1, 0.6)
                    raise BadSetting(variable, value, "names no key" + (f"; did you mean {near[0]}?" if near else ""))
                self.set(name, value)
        for variable, name in (("QUIVER_MASTER", MASTER), ("QUIVER_APP_NAME", APP_NAME)):
            if environ.get(variable):
                self.set(name, environ[variable])
        self.setAll((key, value) for key, value in SYSTEM_PROPERTIES.items() if value and key.startswith(("spark.", "quiver.")))

    def set(self, key: str, value: object) -> Conf:
        """Set one key. True and False become `true` and `false`. Raises BadSetting, BadMemoryString.

        >>> from quiver import Conf
        >>> conf = Conf(loadDefaults=False)
        >>> conf.set("spark.ui.enabled", False).get("spark.ui.enabled")
        'false'
        """
        if not isinstance(key, str) or not key:
            raise BadSetting(repr(key), str(value), "a key is a non-empty string")
        text = str(value).lower() if isinstance(value, bool) else str(value)
        check(key, text)
        self._values[key] = text
        return self

    def setIfMissing(self, key: str, value: object) -> Conf:
        """Set a key unless it is set.

        >>> from quiver import Conf
        >>> conf = Conf(loadDefaults=False)
        >>> conf.setIfMissing("spark.ui.port", 1).setIfMissing("spark.ui.port", 2).get("spark.ui.port")
        '1'
        """
        return self if self.contains(key) else self.set(key, value)

    def setAll(self, pairs: Iterable[tuple[str, object]]) -> Conf:
        """Set several keys, given as (key, value).

        >>> from quiver import Conf
        >>> conf = Conf(loadDefaults=False)
        >>> conf.setAll([("spark.task.cpus", "1"), ("spark.ui.port", "0")]).get("spark.ui.port")
        '0'
        """
        for key, value in pairs:
            self.set(key, value)
        return self

    def setMaster(self, value: str) -> Conf:
        """Where to run, for example `local[4]`.

        >>> from quiver import Conf
        >>> conf = Conf(loadDefaults=False)
        >>> conf.setMaster("local[4]").get("spark.master")
        'local[4]'
        """
        return self.set(MASTER, value)

    def setAppName(self, value: str) -> Conf:
        """The name shown on pages.

        >>> from quiver import Conf
        >>> conf = Conf(loadDefaults=False)
        >>> conf.setAppName("words").get("spark.app.name")
        'words'
        """
        return self.set(APP_NAME, value)

    def setSparkHome(self, value: str) -> Conf:
        """Sets `spark.home`, where Spark would look for itself; it changes nothing here.

        >>> from quiver import Conf
        >>> Conf(loadDefaults=False).setSparkHome("/path").get("spark.home")
        '/path'
        """
        return self.set("spark.home", value)

    def setExecutorEnv(self, key: str | None = None, value: str | None = None, pairs: Iterable[tuple[str, str]] | None = None) -> Conf:
        """Environment variables of executors: one, or several as pairs.

        >>> from quiver import Conf
        >>> conf = Conf(loadDefaults=False)
        >>> conf.setExecutorEnv("LANG", "C").setExecutorEnv(pairs=[("A", "1")]).getAll()
        [('spark.executorEnv.LANG', 'C'), ('spark.executorEnv.A', '1')]
        """
        if (key is None) == (pairs is None):
            raise ValueError("give either key and value, or pairs")
        for name, text in [(key, value)] if pairs is None else pairs:
            self.set(f"spark.executorEnv.{name}", text)
        return self

    @overload
    def get(self, key: str) -> str | None: ...
    @overload
    def get(self, key: str, defaultValue: str) -> str: ...
    @overload
    def get(self, key: str, defaultValue: None) -> str | None: ...
    def get(self, key: str, defaultValue: str | None = None) -> str | None:
        """The value set for `key` or for another name of it, else `defaultValue`.

        >>> from quiver import Conf
        >>> conf = Conf(loadDefaults=False).setMaster("inline")
        >>> conf.get("spark.master"), conf.get("spark.app.name"), conf.get("spark.app.name", "words")
        ('inline', None, 'words')
        """
        value = self._values.get(key)
        if value is None:
            known = _BY_NAME.get(key)
            if known is not None and known.aliases:
                value = next((self._values[name] for name in (known.name, *known.aliases) if name in self._values), None)
        return defaultValue if value is None else value

    def contains(self, key: str) -> bool:
        """Is it set, under this name?

        >>> from quiver import Conf
        >>> conf = Conf(loadDefaults=False)
        >>> conf.set("spark.task.cpus", 2).contains("spark.task.cpus"), conf.contains("spark.master")
        (True, False)
        """
        return key in self._values

    def getAll(self) -> list[tuple[str, str]]:
        """All that is set, in the order in which it was.

        >>> from quiver import Conf
        >>> conf = Conf(loadDefaults=False).setMaster("inline").setAppName("words")
        >>> conf.getAll()
        [('spark.master', 'inline'), ('spark.app.name', 'words')]
        """
        return list(self._values.items())

    def toDebugString(self) -> str:
        """`key=value` lines, sorted.

        >>> from quiver import Conf
        >>> conf = Conf(loadDefaults=False).setMaster("inline").setAppName("words")
        >>> print(conf.toDebugString())
        spark.app.name=words
        spark.master=inline
        """
        return "\n".join(f"{key}={value}" for key, value in sorted(self._values.items()))

    def copy(self) -> Conf:
        """An independent copy.

        >>> from quiver import Conf
        >>> conf = Conf(loadDefaults=False)
        >>> conf.copy().setMaster("inline").get("spark.master"), conf.contains("spark.master")
        ('inline', False)
        """
        same = Conf(loadDefaults=False)
        same._values.update(self._values)
        return same

    def __repr__(self) -> str:
        return f"Conf({len(self._values)} settings)"


def documentation() -> str:
    """The table of keys in Markdown."""
    rows = ["| key | kind | default | meaning |", "|---|---|---|---|"]
    for key in KEYS:
        names = ", ".join(f"`{name}`" for name in (key.name, *key.aliases))
        rows.append(f"| {names} | {key.kind} | {key.default or '–'} | {key.meaning} |")
    return "\n".join(rows)


SparkConf = Conf
