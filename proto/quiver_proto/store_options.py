"""Hadoop's options of object stores (`fs.s3a.access.key`), and what they are to the libraries that ask the stores. Pure.

Options that only tune Hadoop's own clients (buffers, threads, committers) change no answer and are passed over. Those that would change who
is asked, who asks, or what is written, and have no counterpart here, are refused.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

_NAME = re.compile(r"(?:spark\.hadoop\.)?(fs\.(?:s3[an]?|gs|azure)\..+|google\.cloud\.auth\..+)", re.IGNORECASE)
_S3 = re.compile(r"fs\.s3[an]?\.")


@dataclass(frozen=True, slots=True, repr=False)
class StoreOptions:
    """Options by lower-case names, sorted. They hold secrets: `repr` shows the names, and tells two that differ apart."""

    values: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return (
            f"StoreOptions({', '.join(name for name, _ in self.values)} #{hash(self.values) & 0xFFFFFFFF:x})" if self.values else "NO_STORE"
        )

    def below(self, prefix: str) -> dict[str, str]:
        """Those whose names begin so, by the rest of the name."""
        return {name[len(prefix) :]: value for name, value in self.values if name.startswith(prefix)}


NO_STORE: Final = StoreOptions()


class StoreOptionRefused(ValueError):
    """An option that has no counterpart, or a value that is none; the message says which, never a secret's value."""


def is_store_option(name: str) -> bool:
    """Whether a setting or a reader's option is one of an object store's.

    >>> is_store_option("spark.hadoop.fs.s3a.endpoint"), is_store_option("fs.defaultFS")
    (True, False)
    """
    return _NAME.fullmatch(name) is not None


def store_options(*given: Mapping[str, str]) -> StoreOptions:
    """The options of object stores among those `given`; later ones win. All of S3 are called `fs.s3a.…` then. Raises StoreOptionRefused.

    >>> store_options({"spark.hadoop.fs.s3a.endpoint": "http://a"}, {"fs.s3n.Endpoint": "http://b", "header": "true"}).values
    (('fs.s3a.endpoint', 'http://b'),)
    """
    found: dict[str, str] = {}
    for options in given:
        for name, value in options.items():
            known = _NAME.fullmatch(name)
            if known is not None:
                found[_S3.sub("fs.s3a.", known[1].lower())] = value.strip()
    result = StoreOptions(tuple(sorted(found.items())))
    s3_arguments(result, "")
    for bucket in {name.partition(".")[0] for name in result.below("fs.s3a.bucket.")}:
        s3_arguments(result, bucket)
    gcs_arguments(result)
    return result


_REFUSED_OF_S3: Final = re.compile(
    r"server-side-encryption.*|encryption\..*|signing-algorithm|.*signing-algorithm|custom\.signers|requester\.pays\.enabled|acl\.default|"
    r"security\.credential\.provider\.path|delegation\..*|accesspoint\..*|cross\.region\.access\.enabled|signer.*"
)
_PROVIDERS: Final = {
    "anonymousawscredentialsprovider": "anonymous", "anonymouscredentialsprovider": "anonymous",
    "simpleawscredentialsprovider": "keys", "temporaryawscredentialsprovider": "keys",
    "basicawscredentialsprovider": "keys", "staticcredentialsprovider": "keys",
    "assumedrolecredentialprovider": "role",
}  # fmt: skip
"""What is told by the last part of a provider's name; those of the environment, profiles and machines are what is tried anyway."""
_FOUND: Final = re.compile(
    r"(environmentvariable|default|instanceprofile|iaminstance|ec2container|container|webidentitytoken|profile|systemproperties?|"
    r"systemproperty).*"
)
_DURATION = re.compile(r"(\d+)(ms|s|m|h)?")
_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def s3_arguments(store: StoreOptions, bucket: str) -> dict[str, Any]:
    """Arguments of pyarrow.fs.S3FileSystem for a bucket; `fs.s3a.bucket.NAME.…` over `fs.s3a.…`. `attempts` stands for its retry strategy.

    Empty: nothing is said of S3. Raises StoreOptionRefused.

    >>> s3_arguments(store_options({"fs.s3a.endpoint": "localhost:9000", "fs.s3a.connection.ssl.enabled": "false"}), "b")
    {'endpoint_override': 'localhost:9000', 'scheme': 'http'}
    """
    told = store.below("fs.s3a.") | store.below(f"fs.s3a.bucket.{bucket.lower()}.")
    for name, value in told.items():
        if _REFUSED_OF_S3.fullmatch(name) and value.lower() not in ("", "false"):
            raise StoreOptionRefused(f"Option fs.s3a.{name} is not taken: the S3 client here has no counterpart of it.")
    result: dict[str, Any] = {}
    for name, argument in (("access.key", "access_key"), ("secret.key", "secret_key"), ("session.token", "session_token")):
        if told.get(name):
            result[argument] = told[name]
    if ("access_key" in result) != ("secret_key" in result):
        raise StoreOptionRefused("Options fs.s3a.access.key and fs.s3a.secret.key are only taken together.")
    if told.get("endpoint.region"):
        result["region"] = told["endpoint.region"]
    _endpoint(told, result)
    if "path.style.access" in told and not _flag("fs.s3a.path.style.access", told["path.style.access"]) and "endpoint_override" in result:
        result["force_virtual_addressing"] = True
    _provider(told, result)
    for name, argument in (("connection.establish.timeout", "connect_timeout"), ("connection.timeout", "request_timeout")):
        if told.get(name):
            result[argument] = _seconds(f"fs.s3a.{name}", told[name])
    if told.get("attempts.maximum"):
        result["attempts"] = _whole("fs.s3a.attempts.maximum", told["attempts.maximum"])
    if told.get("proxy.host"):
        secure = _flag("fs.s3a.proxy.ssl.enabled", told.get("proxy.ssl.enabled", "false"))
        port = _whole("fs.s3a.proxy.port", told.get("proxy.port", "443" if secure else "80"))
        result["proxy_options"] = {"scheme": "https" if secure else "http", "host": told["proxy.host"], "port": port}
        if told.get("proxy.username"):
            result["proxy_options"] |= {"username": told["proxy.username"], "password": told.get("proxy.password", "")}
    return result


def _endpoint(told: Mapping[str, str], result: dict[str, Any]) -> None:
    secure = _flag("fs.s3a.connection.ssl.enabled", told.get("connection.ssl.enabled", "true"))
    given = told.get("endpoint", "")
    if given and given.lower() != "central":
        scheme, sign, host = given.rpartition("://")
        if sign and scheme.lower() not in ("http", "https"):
            raise StoreOptionRefused(f"Option fs.s3a.endpoint is no address of a web server: {scheme}://…")
        region = re.fullmatch(r"s3[.-]([a-z0-9-]+)\.amazonaws\.com(\.cn)?", host)
        if host != "s3.amazonaws.com" and not (region and region[1] == "dualstack"):
            result["endpoint_override"] = host.rstrip("/")
        if region and "region" not in result:
            result["region"] = region[1]
        if sign:
            result["scheme"] = scheme.lower()
            return
    if not secure:
        result["scheme"] = "http"


def _provider(told: Mapping[str, str], result: dict[str, Any]) -> None:
    names = [name.strip() for name in told.get("aws.credentials.provider", "").split(",") if name.strip()]
    if not names:
        return
    last = [name.rpartition(".")[2].rpartition("$")[2].lower() for name in names]
    kinds = [_PROVIDERS.get(name) or ("found" if _FOUND.fullmatch(name) else None) for name in last]
    if None in kinds:
        raise StoreOptionRefused(
            f"Option fs.s3a.aws.credentials.provider names {names[kinds.index(None)]}, which is a Java class without a counterpart here."
        )
    if "role" in kinds:
        if not told.get("assumed.role.arn"):
            raise StoreOptionRefused("Option fs.s3a.assumed.role.arn is missing, which AssumedRoleCredentialProvider takes.")
        for name in ("access_key", "secret_key", "session_token"):
            if name in result:
                raise StoreOptionRefused("A role is assumed with the keys of the environment here, not with those of fs.s3a.access.key.")
        result["role_arn"] = told["assumed.role.arn"]
        for name, argument in (("assumed.role.session.name", "session_name"), ("assumed.role.external.id", "external_id")):
            if told.get(name):
                result[argument] = told[name]
        return
    if "keys" not in kinds:  # As in Hadoop, keys are for those who look there.
        for name in ("access_key", "secret_key", "session_token"):
            result.pop(name, None)
    if "anonymous" in kinds and "access_key" not in result and "found" not in kinds[: kinds.index("anonymous")]:
        result["anonymous"] = True


def gcs_arguments(store: StoreOptions) -> dict[str, Any]:
    """Arguments of pyarrow.fs.GcsFileSystem. Empty: nothing is said of it. Raises StoreOptionRefused.

    >>> gcs_arguments(store_options({"fs.gs.auth.type": "UNAUTHENTICATED", "fs.gs.storage.root.url": "http://localhost:4443"}))
    {'anonymous': True, 'endpoint_override': 'localhost:4443', 'scheme': 'http'}
    """
    told = store.below("google.cloud.auth.") | {name.removeprefix("auth."): value for name, value in store.below("fs.gs.").items()}
    result: dict[str, Any] = {}
    kind = told.get("type", "").upper()
    keyfile = told.get("service.account.json.keyfile", "")
    if kind == "UNAUTHENTICATED" or told.get("null.enable", "false").lower() == "true":
        result["anonymous"] = True
    elif kind not in ("", "APPLICATION_DEFAULT", "COMPUTE_ENGINE", "SERVICE_ACCOUNT_JSON_KEYFILE") or keyfile:
        raise StoreOptionRefused(
            "Of fs.gs.auth.type UNAUTHENTICATED, APPLICATION_DEFAULT and COMPUTE_ENGINE are taken. Put the path of a key file into the "
            "environment as GOOGLE_APPLICATION_CREDENTIALS, here and of executors."
        )
    if any(name.startswith(("encryption.", "impersonation.")) and value for name, value in told.items()):
        raise StoreOptionRefused("Options fs.gs.encryption.… and fs.gs.auth.impersonation.… are not taken: there is no counterpart here.")
    if told.get("storage.root.url"):
        place = urlsplit(told["storage.root.url"])
        result |= {"endpoint_override": place.netloc, "scheme": place.scheme}
    if told.get("project.id"):
        result["project_id"] = told["project.id"]
    return result


def azure_arguments(store: StoreOptions, host: str) -> dict[str, Any]:
    """Arguments of pyarrow.fs.AzureFileSystem for `ACCOUNT.dfs.core.windows.net`. Empty: nothing is said of it. Raises StoreOptionRefused.

    >>> azure_arguments(store_options({"fs.azure.account.key.me.dfs.core.windows.net": "k"}), "me.dfs.core.windows.net")
    {'account_name': 'me', 'account_key': 'k'}
    """
    host = host.lower()
    told = store.below("fs.azure.")
    if not told:
        return {}

    def option(name: str) -> str:
        other = host.replace(".dfs.", ".blob.") if ".dfs." in host else host.replace(".blob.", ".dfs.")
        return next((told[each] for each in (f"{name}.{host}", f"{name}.{other}", name) if told.get(each)), "")

    result: dict[str, Any] = {"account_name": host.partition(".")[0]}
    kind = option("account.auth.type").lower()
    if option("account.key") and kind in ("", "sharedkey"):
        result["account_key"] = option("account.key")
    elif option("sas.fixed.token") and kind in ("", "sas"):
        result["sas_token"] = option("sas.fixed.token")
    elif kind == "oauth":
        provider = option("account.oauth.provider.type").rpartition(".")[2]
        tenant = urlsplit(option("account.oauth2.client.endpoint")).path.strip("/").partition("/")[0] or option("account.oauth2.msi.tenant")
        identity, secret = option("account.oauth2.client.id"), option("account.oauth2.client.secret")
        if provider == "ClientCredsTokenProvider" and identity and secret and tenant:
            result |= {"tenant_id": tenant, "client_id": identity, "client_secret": secret}
        elif provider == "MsiTokenProvider":
            result |= {"client_id": identity} if identity else {}
        else:
            raise StoreOptionRefused(
                f"Option fs.azure.account.oauth.provider.type names {provider or 'nothing'}: ClientCredsTokenProvider (with "
                "client.id, client.secret and client.endpoint) and MsiTokenProvider are taken."
            )
    elif kind in ("custom", "sas", "userboundsas", "sharedkey"):
        raise StoreOptionRefused(
            f"Option fs.azure.account.auth.type {kind} is taken with fs.azure.account.key or fs.azure.sas.fixed.token."
        )
    return result if len(result) > 1 or kind == "oauth" else {}


def _flag(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false"):
        raise StoreOptionRefused(f"Option {name} is true or false, not {value!r}.")
    return value.lower() == "true"


def _whole(name: str, value: str) -> int:
    if not value.isdecimal():
        raise StoreOptionRefused(f"Option {name} is a whole number, not {value!r}.")
    return int(value)


def _seconds(name: str, value: str) -> float:
    """Milliseconds unless there is a unit."""
    found = _DURATION.fullmatch(value.lower())
    if found is None:
        raise StoreOptionRefused(f"Option {name} is a time such as 5000 (milliseconds) or 5s, not {value!r}.")
    return int(found[1]) * _SECONDS[found[2] or "ms"]
