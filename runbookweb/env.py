"""The environment variables that configure Runbookweb, each read once and named with its source."""

import contextlib
import ipaddress
import os
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from runbookweb.readers import (
    algorithm,
    callback_address,
    flag,
    folder,
    host,
    id_token_algorithm,
    keys_url,
    level,
    networks,
    protocol,
    sign_in_address,
    signing_secret,
    text,
    utf8,
    whole,
    words,
)

DAY = 24 * 60 * 60
TEBIBYTE = 2**40


class BadVariable(Exception):
    """An environment variable has a value that Runbookweb cannot start with; str() says which and what to do."""


@dataclass(frozen=True)
class Variable:
    """One environment variable: how its text is read, and what it is when it is unset."""

    name: str
    read: Callable[[str], object]
    default: str
    help: str
    secret: bool = False


VARIABLES = (
    Variable("BIND_ADDRESS", text, "127.0.0.1", "The address that the server listens on"),
    Variable("API_PORT", whole(1, 65535), "8083", "The port that the server listens on"),
    Variable("API_PROTOCOL", protocol, "http", "How scripts reach the API: http or https"),
    Variable("API_HOST", host, "", "Where scripts reach the API; by default the address that the server listens on"),
    Variable("ALLOWED_HOSTS", words, "", "Host names that requests may ask for, separated by commas"),
    Variable("TRUSTED_PROXIES", networks, "", "Proxies whose X-Forwarded-For is believed: addresses or networks"),
    Variable("RUNBOOKS_DIR", folder, "samples", "The folder with the runbooks"),
    Variable("DATA_DIR", folder, "var", "The folder for everything that the program writes"),
    Variable("EXECUTION_DIR", folder, "", "Where runs have their working folders; by default below DATA_DIR"),
    Variable("MOUNT_DIR", text, "", "What EXECUTION_DIR is on the host of the containers that scripts start"),
    Variable("ENABLE_LOGIN", flag, "", "The development sign-in; by default on for a loopback address alone"),
    Variable("SECRET_KEY", text, "", "Signs sessions and seals queued secrets; by default generated", secret=True),
    Variable("JWT_SECRET", signing_secret, "", "Signs bearer tokens with HS256; by default generated", secret=True),
    Variable("JWT_JWKS_URL", keys_url, "", "Where the keys are that sign bearer tokens, instead of JWT_SECRET"),
    Variable("JWT_ALGORITHM", algorithm, "", "How tokens are signed; by default HS256, with JWT_JWKS_URL RS256"),
    Variable("JWT_ISSUER", text, "runbookweb", "Who must have issued a bearer token"),
    Variable("JWT_AUDIENCE", text, "runbookweb", "Whom a bearer token must be for"),
    Variable("JWT_TTL_MINUTES", whole(1, 525_600), "480", "How long a token of POST /dev-login is accepted"),
    Variable("IDP_LOGIN_URI", sign_in_address, "", "Where /auth/login sends people; by default to sign in here"),
    Variable("OIDC_ISSUER", keys_url, "", "The provider of single sign-on by OpenID Connect; by default none"),
    Variable("OIDC_CLIENT_ID", text, "", "The name that the provider knows this server by"),
    Variable("OIDC_CLIENT_SECRET", text, "", "What this server proves with that it has that name", secret=True),
    Variable("OIDC_SCOPES", text, "openid profile email", "What the provider is asked for, separated by spaces"),
    Variable("OIDC_ROLES_CLAIM", text, "roles", "The claim of the ID token with the roles, or the path to it"),
    Variable("OIDC_NAME_CLAIM", text, "", "The claim that names people; by default the first that they can read"),
    Variable("OIDC_SIGN_ALGORITHM", id_token_algorithm, "RS256", "How the provider signs ID tokens: RS256 or ES256"),
    Variable("OIDC_REDIRECT_URI", callback_address, "", "Where people come back to; by default as they came"),
    Variable("SCRIPT_TIMEOUT_SECONDS", whole(1, 30 * DAY), "600", "How long a script may run"),
    Variable("MAX_OUTPUT_SIZE_BYTES", whole(1, TEBIBYTE), "10485760", "How much of a run's output is recorded"),
    Variable("MAX_CONCURRENT_RUNS", whole(1, 1000), "20", "How many runs go on at once; the others wait"),
    Variable("MAX_RECURSION_DEPTH", whole(0, 1000), "50", "How deep runbooks may run within runbooks; 0 forbids it"),
    Variable("EXECUTION_STREAMING_ENABLED", flag, "true", "Whether POST …/execute streams to clients that ask for it"),
    Variable("SCRIPT_ENV", words, "", "Names or globs of the server's variables that scripts get"),
    Variable("SCRIPT_USER", text, "", "The user that scripts run as; by default the user of the server"),
    Variable("SCRIPT_MAX_MEMORY", whole(0, TEBIBYTE), "0", "Bytes of memory that a script may have; 0 for any"),
    Variable("SCRIPT_MAX_DISK", whole(0, TEBIBYTE), "0", "Bytes that a script's working folder may hold; 0 for any"),
    Variable("SCRIPT_MAX_PROCESSES", whole(0, 1_000_000), "0", "How many processes scripts may have; 0 for any"),
    Variable("RUN_RETENTION_DAYS", whole(0, 100_000), "0", "How long ended runs are kept; 0 for ever"),
    Variable("RUN_RETENTION_BYTES", whole(0, TEBIBYTE), "0", "How much ended runs may leave on the disk; 0 for any"),
    Variable("HISTORY_ENTRIES", whole(0, 10_000), "20", "How many runs a runbook's History section keeps"),
    Variable("LOGGING_LEVEL", level, "INFO", "The least severe message that is logged"),
    Variable("UI_HEADER", text, "Runbookweb", "The name at the top of each page"),
    Variable("BUILT_AT", text, "", "When this build was made, shown on the configuration page"),
)


class Configuration:
    """The values of VARIABLES as attributes, and where each came from.

    Makes DATA_DIR and the files in it that others must not read. Raises BadVariable for a value that cannot be read
    or used, or that is unsafe on the address to listen on.
    """

    def __init__(self, environ: Mapping[str, str]):
        self.environ = environ
        for variable in VARIABLES:
            given = environ.get(variable.name, "")
            try:
                value = variable.read(utf8(given) or variable.default) if given or variable.default else None
            except ValueError as problem:
                shown = "its value" if variable.secret else repr(given)
                raise BadVariable(f"{variable.name}: {shown} {problem}.") from None
            setattr(self, variable.name, value)
        self.EXECUTION_DIR = self.EXECUTION_DIR or self.DATA_DIR / "work"
        self.SCRIPT_ENV = self.SCRIPT_ENV or ()
        if self.ENABLE_LOGIN is None:
            self.ENABLE_LOGIN = self.is_loopback
        if self.is_loopback:
            self.ALLOWED_HOSTS = self.ALLOWED_HOSTS or ("localhost", "127.0.0.1", "[::1]")
        else:
            self._refuse_what_is_unsafe_for_others()
        self._reach_the_api()
        self._refuse_work_among_runs()
        self._choose_algorithm()
        self._check_single_sign_on()
        self.database = self.DATA_DIR / "db.sqlite3"
        self._make_private_files()

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the server."""
        if self.BIND_ADDRESS == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.BIND_ADDRESS).is_loopback
        except ValueError:
            raise BadVariable(f"BIND_ADDRESS: {self.BIND_ADDRESS!r} is not an IP address.") from None

    @property
    def api_url(self) -> str:
        """Where scripts find the API's runbooks."""
        return f"{self.API_PROTOCOL}://{self.API_HOST}:{self.API_PORT}/api/runbooks"

    def source(self, variable: Variable) -> str:
        return "environment" if self.environ.get(variable.name) else "default"

    def _refuse_what_is_unsafe_for_others(self) -> None:
        where = f"because BIND_ADDRESS is {self.BIND_ADDRESS}, which other machines can reach"
        if self.ENABLE_LOGIN:
            raise BadVariable(f"ENABLE_LOGIN: the development sign-in lets anybody in; set it to false, {where}.")
        if not self.SECRET_KEY or len(self.SECRET_KEY) < 32:
            raise BadVariable(f"SECRET_KEY: set it to at least 32 random characters, {where}.")
        if not self.ALLOWED_HOSTS:
            raise BadVariable(f"ALLOWED_HOSTS: set it to the host names of this server, {where}.")

    def _reach_the_api(self) -> None:
        """Scripts ask for this server by API_HOST, whatever other names it has."""
        loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - nobody can ask for a wildcard
        self.API_HOST = self.API_HOST or host(loopback.get(self.BIND_ADDRESS, self.BIND_ADDRESS))
        if self.API_HOST not in self.ALLOWED_HOSTS:
            self.ALLOWED_HOSTS = (*self.ALLOWED_HOSTS, self.API_HOST)

    def _refuse_work_among_runs(self) -> None:
        runs = self.DATA_DIR / "runs"
        if self.EXECUTION_DIR.is_relative_to(runs.resolve()):
            # A run's working folder is made anew by deleting what is in its place.
            raise BadVariable(f"EXECUTION_DIR: in {runs} it would overwrite runs' logs; set it to another folder.")

    def _choose_algorithm(self) -> None:
        if self.JWT_SECRET and self.JWT_JWKS_URL:
            # The holder of a secret that was to be replaced could go on making tokens.
            raise BadVariable("JWT_SECRET: tokens are signed by the keys at JWT_JWKS_URL; unset one of the two.")
        self.JWT_ALGORITHM = self.JWT_ALGORITHM or ("RS256" if self.JWT_JWKS_URL else "HS256")
        if self.JWT_JWKS_URL and self.JWT_ALGORITHM == "HS256":
            raise BadVariable("JWT_ALGORITHM: the keys at JWT_JWKS_URL are public; set it to RS256 or ES256.")
        if not self.JWT_JWKS_URL and self.JWT_ALGORITHM != "HS256":
            raise BadVariable(f"JWT_JWKS_URL: set it to where the keys for {self.JWT_ALGORITHM} are.")

    def _check_single_sign_on(self) -> None:
        if self.OIDC_ISSUER and not self.OIDC_CLIENT_ID:
            raise BadVariable("OIDC_CLIENT_ID: set it to what the provider at OIDC_ISSUER knows this server by.")
        if self.OIDC_CLIENT_ID and not self.OIDC_ISSUER:
            raise BadVariable("OIDC_ISSUER: set it to the address of the provider that OIDC_CLIENT_ID is a name at.")
        if "openid" not in self.OIDC_SCOPES.split():
            raise BadVariable("OIDC_SCOPES: it must have the scope openid, without which there is no single sign-on.")

    def _make_private_files(self) -> None:
        try:
            self.DATA_DIR.mkdir(mode=0o700, parents=True, exist_ok=True)
            if not self.database.is_file() or not os.access(self.database, os.W_OK):
                # SQLite would let everybody read a file that it makes; those that it puts beside one get its mode.
                os.close(os.open(self.database, os.O_RDWR | os.O_CREAT, 0o600))
            self.SECRET_KEY = self.SECRET_KEY or generated_secret(self.DATA_DIR / "secret_key")
            if self.is_loopback and not self.JWT_JWKS_URL:
                self.JWT_SECRET = self.JWT_SECRET or generated_secret(self.DATA_DIR / "jwt_secret")
        except OSError as problem:
            failed = f"cannot write {problem.filename or self.DATA_DIR}: {problem.strerror}"
            raise BadVariable(f"DATA_DIR: {failed}. Set it to a folder of yours.") from None


def generated_secret(path: Path) -> str:
    """The secret in this file, made at first use; only the file's owner may read it."""
    if not path.exists():
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        try:
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(48))
            # A link never replaces: of two first starts at once, both go on with the same secret.
            with contextlib.suppress(FileExistsError):
                os.link(draft, path)
        finally:
            draft.unlink(missing_ok=True)
    secret = path.read_bytes().decode(errors="replace").strip()
    if len(secret) < 32 or "\N{REPLACEMENT CHARACTER}" in secret:
        raise BadVariable(f"DATA_DIR: {path} holds no whole secret; delete it, and the next start makes a new one.")
    return secret
