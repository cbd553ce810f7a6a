"""spark.udf: functions that SQL of a session can call."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NoReturn

from quiver.sql.errors import PySparkTypeError
from quiver.sql.python.user_defined import UserDefinedFunction, udf
from quiver_proto.errors import NeedsJVM

if TYPE_CHECKING:
    from quiver.sql.session import Session


class UDFRegistration:
    """What `spark.udf` is."""

    def __init__(self, sparkSession: Session) -> None:
        self.sparkSession = sparkSession

    def register(self, name: str, f: Any, returnType: Any = None) -> Any:
        """Let SQL of the session call a Python function, or what udf, pandas_udf or arrow_udf made, by this name; what that is is returned.

        `returnType` is only for a Python function (string without it). Raises PySparkTypeError where it is given for what has one.

        >>> _ = spark.udf.register("length_of", lambda text: len(text), "int")
        >>> spark.sql("SELECT length_of('four') AS n").collect()
        [Row(n=4)]
        """
        if isinstance(f, UserDefinedFunction):
            if returnType is not None:
                raise PySparkTypeError(
                    "Cannot specify `returnType` for a user-defined function: it has one.", "CANNOT_SPECIFY_RETURN_TYPE_FOR_UDF"
                )
            made = f._copy(name=name)
        else:
            made = udf(f, returnType)._copy(name=name)
        self.sparkSession._state.routines[name.lower()] = made._routine
        return made

    def registerJavaFunction(self, name: str, javaClassName: str, returnType: Any = None) -> NoReturn:
        """Not offered: raises NeedsJVM. Register a Python function.

        >>> spark.udf.registerJavaFunction("f", "com.example.F")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        quiver_proto.errors.NeedsJVM: UDFRegistration.registerJavaFunction needs a JVM: ...
        """
        raise NeedsJVM("UDFRegistration.registerJavaFunction", "it runs a Java class", "Use spark.udf.register with a Python function.")

    def registerJavaUDAF(self, name: str, javaClassName: str) -> NoReturn:
        """Not offered: raises NeedsJVM. Register a pandas_udf of a group.

        >>> spark.udf.registerJavaUDAF("f", "com.example.F")  # doctest: +ELLIPSIS
        Traceback (most recent call last):
            ...
        quiver_proto.errors.NeedsJVM: UDFRegistration.registerJavaUDAF needs a JVM: ...
        """
        raise NeedsJVM("UDFRegistration.registerJavaUDAF", "it runs a Java class", "Use spark.udf.register with a pandas_udf of a group.")
