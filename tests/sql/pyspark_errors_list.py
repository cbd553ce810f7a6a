"""The names that PySpark 4 exports from pyspark.errors."""

NAMES = [
    "PySparkException", "AnalysisException", "SessionNotSameException", "TempTableAlreadyExistsException", "ParseException",
    "IllegalArgumentException", "ArithmeticException", "UnsupportedOperationException", "ArrayIndexOutOfBoundsException",
    "DateTimeException", "NumberFormatException", "StreamingQueryException", "QueryExecutionException", "PythonException",
    "UnknownException", "SparkRuntimeException", "SparkUpgradeException", "SparkNoSuchElementException", "PySparkTypeError",
    "PySparkValueError", "PySparkImportError", "PySparkIndexError", "PySparkAttributeError", "PySparkRuntimeError",
    "PySparkAssertionError", "PySparkNotImplementedError", "PySparkPicklingError", "PySparkKeyError", "QueryContext",
    "QueryContextType", "StreamingPythonRunnerInitializationException", "PickleException",
]  # fmt: skip
