"""Choices, nulls and errors."""

from __future__ import annotations

import getpass
from collections.abc import Sequence

from quiver.sql import types as t
from quiver.sql.analysis.coercion import expect_common
from quiver.sql.lowering.names import cast, text
from quiver.sql.registry.define import define
from quiver.sql.registry.model import Function, Types, register, template
from quiver.sql.registry.python import python
from quiver_proto.spark_functions import checks

define("coalesce", "=+", "0", "coalesce")
define("nvl", "==", "0", "coalesce", "ifnull")
define("nvl2", "*==", "1", "CASE WHEN {0} IS NOT NULL THEN {1} ELSE {2} END")


def _nullif(args: Sequence[str], kinds: Types) -> str:
    both = expect_common("nullif", kinds)
    a, b = (value if kind == both else cast(value, both) for value, kind in zip(args, kinds, strict=True))
    return f"(CASE WHEN {a} = {b} THEN NULL ELSE {args[0]} END)"


register(Function("nullif", _nullif, lambda kinds: kinds[0], lambda kinds: [None, None], nullable=True, arity=(2, 2)))
define("nullifzero", "n", "0", "CASE WHEN {0} = 0 THEN NULL ELSE {0} END", nullable=True)


def _or_zero(kinds: Types) -> Sequence[t.DataType | None]:
    (kind,) = kinds
    return [t.IntegerType() if isinstance(kind, t.NullType) else t.LongType() if isinstance(kind, t.StringType) else None]


register(Function("zeroifnull", template("coalesce({0}, 0)"), lambda kinds: kinds[0], _or_zero, nullable=False, arity=(1, 1)))
define(
    "only_row",
    "*l",
    "0",
    "CASE WHEN CASE WHEN {1} > 1 THEN arrow_cast(concat('[SCALAR_SUBQUERY_TOO_MANY_ROWS] ', arrow_cast({1}, 'Utf8')), 'Int64') "
    "ELSE 0 END = 0 THEN {0} END",
    nullable=True,
)
define("if", "b==", "1", "CASE WHEN {0} THEN {1} ELSE {2} END")
define("greatest", "==+", "0", "greatest")
define("least", "==+", "0", "least")
define(
    "assert_true",
    "b?s",
    lambda kinds: t.NullType(),
    python(checks.assert_true, lambda kinds: t.NullType(), nulls=True, volatile=True),
    nullable=True,
)
define(
    "raise_error",
    "s",
    lambda kinds: t.NullType(),
    python(checks.raise_error, lambda kinds: t.NullType(), nulls=True, volatile=True),
    nullable=True,
)
_within_length = python(checks.within_length, lambda kinds: t.StringType())
define(
    "within_length",  # Put in where a CHAR or VARCHAR is stored.
    "si",
    "s",
    lambda args, kinds: f"CASE WHEN character_length({args[0]}) <= {args[1]} THEN {args[0]} ELSE {_within_length(args, kinds)} END",
)
define("typeof", "*", "s", lambda args, kinds: text(kinds[0].simpleString()), nullable=False)
define("input_file_name", "", "s", "''", nullable=False)  # Of rows that are no file's; those of files get a column.
define("uuid", "", "s", "uuid()", nullable=False)
define("version", "", "s", lambda args, kinds: "'4.3.0'", nullable=False)
define("current_catalog", "", "s", lambda args, kinds: "'spark_catalog'", nullable=False)
# The argument is the session's database, which the reader of SQL puts in.
define("current_schema", "?s", "s", lambda args, kinds: args[0] if args else "'default'", "current_database", nullable=False)
define(
    "current_path",
    "?s",
    "s",
    lambda args, kinds: f"('system.builtin,system.session,spark_catalog.' || {args[0] if args else text('default')})",
    nullable=False,
)
for _name in ("current_user", "user", "session_user"):
    define(_name, "", "s", lambda args, kinds: text(getpass.getuser()), nullable=False)
