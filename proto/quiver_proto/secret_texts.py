"""Which names mean secrets, and URLs without them: whatever is shown, logged or stored asks here."""

from __future__ import annotations

import re
from typing import Final

REDACTED: Final = "*********(redacted)"
"""Stands for a secret, as in Spark."""
SECRET_WORDS: Final = (
    r"(?:secret|passw(?:or)?d|token|credential|authorization|signature|(?<![a-z])(?:sig|sas)(?![a-z])"
    r"|(?:access|account|api|private)[._-]?key)"
)
"""A part of names, in any case: of settings, options and parameters of URLs, signed ones of stores too."""
# Compiled when they are first needed: it takes as long as the rest of `import quiver`.
_URL: Final = r"""(?i)[a-z][\w+.-]{0,20}://[^\s'"`<>]+"""
_NAME: Final = rf"(?i){SECRET_WORDS}"
_PARAMETER: Final = rf"""(?i)((?<![\w.-])[\w.-]*{SECRET_WORDS}[\w.-]*=)(?!\*\*\*)[^\s&;'"`=)][^\s&;'"`)]*"""


def names_a_secret(key: str) -> bool:
    """Whether the value of a setting, option or parameter is shown and sent to nobody.

    >>> names_a_secret("spark.hadoop.fs.s3a.access.key"), names_a_secret("X-Amz-Signature"), names_a_secret("design")
    (True, True, False)
    """
    return re.search(_NAME, key) is not None


def without_parameters(text: str, instead: str = REDACTED) -> str:
    """The text with `instead` (`***…`) in place of secrets that stand in it as name=value; again: the same.

    >>> without_parameters("jdbc:x://host/name?password=a&b=c", "***")
    'jdbc:x://host/name?password=***&b=c'
    """
    return re.sub(_PARAMETER, lambda found: found[1] + instead, text) if "=" in text and re.search(_NAME, text) else text


def urls_without_secrets(text: str) -> str:
    """The text, with no secret among the parameters of its URLs; elsewhere it is as it was.

    >>> urls_without_secrets("token=1 at http://h/x.csv?sig=a%2Fb&part=1")
    'token=1 at http://h/x.csv?sig=*********(redacted)&part=1'
    """
    return re.sub(_URL, lambda found: without_parameters(found[0]), text) if "://" in text else text
