"""What a Context tells of itself, and the settings that are not its own."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, ClassVar

from quiver.conf import APP_NAME, MASTER, SYSTEM_PROPERTIES, check
from quiver_proto import __version__
from quiver_proto.errors import BadSetting

if TYPE_CHECKING:
    from quiver.conf import Conf
    from quiver.plan.model import Driver
    from quiver_proto.resource import ResourceInformation

_LEVELS = {"ALL": 1, "TRACE": 5, "DEBUG": 10, "INFO": 20, "WARN": 30, "WARNING": 30, "ERROR": 40, "FATAL": 50, "OFF": 100}
_ENVIRONMENT = "spark.executorEnv."


class ContextFacts:
    """A Context's facts: nothing here starts a job."""

    PACKAGE_EXTENSIONS: ClassVar[tuple[str, ...]] = (".zip", ".egg", ".jar")
    """Files that addPyFile takes for archives of modules, by the end of their name."""

    _conf: Conf
    _driver: Driver
    _stopped: bool
    _resources: dict[str, ResourceInformation] | None

    def __repr__(self) -> str:
        return f"<SparkContext master={self.master} appName={self.appName}{' stopped' if self._stopped else ''}>"

    def _repr_html_(self) -> str:
        """For notebooks."""
        from html import escape

        facts = {"Version": f"v{self.version}", "Master": self.master, "AppName": self.appName}
        rows = "".join(f"<dt>{name}</dt><dd><code>{escape(value)}</code></dd>" for name, value in facts.items())
        link = f'<p><a href="{escape(self.uiWebUrl)}">Quiver UI</a></p>' if self.uiWebUrl else ""
        return f"<div><p><b>Quiver Context</b></p>{link}<dl>{rows}</dl></div>"

    @property
    def master(self) -> str:
        """The master URL.

        >>> sc.master.partition("[")[0] in ("inline", "local")
        True
        """
        return self._conf.get(MASTER, "")

    @property
    def appName(self) -> str:
        """The application's name.

        >>> sc.appName
        'rdd tests'
        """
        return self._conf.get(APP_NAME, "")

    @property
    def applicationId(self) -> str:
        """Unique across applications, and sorted by start: `app-20261121-063545-1a2b3c`.

        Differs from PySpark: begins with `app-` on every master; Spark's own ids differ from one cluster manager to the other.

        >>> sc.applicationId  # doctest: +ELLIPSIS
        'app-...'
        """
        return self._driver.application_id

    @property
    def uiWebUrl(self) -> str | None:
        """The UI's address with its token; None where there is no UI.

        >>> sc.uiWebUrl is None or sc.uiWebUrl.startswith("http://")
        True
        """
        return self._driver.ui_url

    @property
    def startTime(self) -> int:
        """When the application started: milliseconds since 1970.

        >>> import time
        >>> 0 < sc.startTime <= time.time() * 1000
        True
        """
        return int(self._driver.started_at * 1000)

    @property
    def version(self) -> str:
        """Quiver's version.

        Differs from PySpark: not Spark's version.

        >>> import quiver
        >>> sc.version == quiver.__version__
        True
        """
        return __version__

    @property
    def defaultParallelism(self) -> int:
        """Partitions of parallelize where none are asked for: `spark.default.parallelism`, else the cores there are.

        >>> sc.defaultParallelism == sc.parallelize([1]).getNumPartitions()
        True
        """
        return self._driver.default_parallelism

    @property
    def defaultMinPartitions(self) -> int:
        """Partitions of textFile where none are asked for: at most 2, as in Spark; large files have more.

        >>> sc.defaultMinPartitions == min(sc.defaultParallelism, 2)
        True
        """
        return min(self.defaultParallelism, 2)

    @property
    def environment(self) -> dict[str, str]:
        """Environment variables that were set for executors (`environment` of the Context, `spark.executorEnv.*`); a copy.

        Differs from PySpark: PYTHONHASHSEED is not among them; every application's executors share one, chosen at its start.

        >>> sc.environment
        {}
        """
        return {key.removeprefix(_ENVIRONMENT): value for key, value in self._conf.getAll() if key.startswith(_ENVIRONMENT)}

    @property
    def sparkHome(self) -> str | None:
        """What `sparkHome` or `spark.home` said, or None. Nothing is looked for there.

        >>> sc.sparkHome is None
        True
        """
        return self._conf.get("spark.home")

    @property
    def pythonVer(self) -> str:
        """Major and minor version of Python.

        >>> import sys
        >>> sc.pythonVer == "%d.%d" % sys.version_info[:2]
        True
        """
        return f"{sys.version_info[0]}.{sys.version_info[1]}"

    @property
    def pythonExec(self) -> str:
        """The interpreter of the driver's process.

        Differs from PySpark: not PYSPARK_PYTHON; executors run the Python that their node's daemon runs.

        >>> import sys
        >>> sc.pythonExec == sys.executable
        True
        """
        return sys.executable

    @property
    def resources(self) -> dict[str, ResourceInformation]:
        """What this process has besides cores and memory: `spark.driver.resource.<name>.amount` and `.discoveryScript`, by name.

        >>> sc.resources
        {}
        """
        from quiver_proto.discovery import discover
        from quiver_proto.resource import ResourceInformation

        if self._resources is None:
            found = discover(dict(self._conf.getAll()), "driver")
            self._resources = {name: ResourceInformation(name, addresses) for name, addresses in found.items()}
        return self._resources

    def sparkUser(self) -> str:
        """Who runs the application: SPARK_USER where that is set, else the user that this process runs as.

        >>> import getpass, os
        >>> sc.sparkUser() == (os.environ.get("SPARK_USER") or getpass.getuser())
        True
        """
        import getpass

        return os.environ.get("SPARK_USER") or getpass.getuser()

    def getConf(self) -> Conf:
        """A copy of the configuration.

        >>> sc.getConf().get("spark.app.name")
        'rdd tests'
        """
        return self._conf.copy()

    def setLogLevel(self, logLevel: str) -> None:
        """ALL, TRACE, DEBUG, INFO, WARN, ERROR, FATAL or OFF, for Quiver's own loggers in this process. Raises BadSetting.

        >>> import logging
        >>> before = logging.getLogger("quiver").level
        >>> sc.setLogLevel("WARN")
        >>> logging.getLogger("quiver").setLevel(before)
        """
        level = _LEVELS.get(str(logLevel).upper())
        if level is None:
            raise BadSetting("log level", str(logLevel), f"must be one of {', '.join(_LEVELS)}")
        logging.getLogger("quiver").setLevel(level)

    @classmethod
    def setSystemProperty(cls, key: str, value: str) -> None:
        """Set a property of this process. The next Conf() takes those that begin with `spark.` or `quiver.` for settings.

        Raises BadSetting for a value that can't be meant.

        Differs from PySpark: properties of this process, not of a JVM; only settings mean anything.

        >>> from quiver import Conf, Context
        >>> Context.setSystemProperty("spark.executor.memory", "2g")
        >>> Conf().get("spark.executor.memory"), Context.getSystemProperty("spark.executor.memory")
        ('2g', '2g')
        >>> Context.setSystemProperty("spark.executor.memory", "")
        >>> Conf().contains("spark.executor.memory")
        False
        """
        if value and key.startswith(("spark.", "quiver.")):
            check(key, str(value))
        SYSTEM_PROPERTIES[key] = str(value)

    @classmethod
    def getSystemProperty(cls, key: str) -> str | None:
        """What setSystemProperty set, or None.

        Differs from PySpark: there are no properties but those that were set so.

        >>> sc.getSystemProperty("java.home") is None
        True
        """
        return SYSTEM_PROPERTIES.get(key)
