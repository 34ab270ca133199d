"""Django's settings; what an operator may change comes from runbookweb.env."""

import os
from datetime import timedelta

from runbookweb.env import Configuration
from runbookweb.log import JsonLines, without_clients_tracebacks
from runbookweb.readers import BASE_DIR

CONFIGURATION = Configuration(os.environ)

BASE_DIR = BASE_DIR
DATA_DIR = CONFIGURATION.DATA_DIR
EXECUTION_DIR = CONFIGURATION.EXECUTION_DIR
RUNBOOKS_DIR = CONFIGURATION.RUNBOOKS_DIR
API_URL = CONFIGURATION.api_url
ENABLE_LOGIN = CONFIGURATION.ENABLE_LOGIN
EXECUTION_STREAMING_ENABLED = CONFIGURATION.EXECUTION_STREAMING_ENABLED
HISTORY_ENTRIES = CONFIGURATION.HISTORY_ENTRIES
MAX_CONCURRENT_RUNS = CONFIGURATION.MAX_CONCURRENT_RUNS
MAX_RECURSION_DEPTH = CONFIGURATION.MAX_RECURSION_DEPTH
MOUNT_DIR = CONFIGURATION.MOUNT_DIR
MAX_OUTPUT_SIZE_BYTES = CONFIGURATION.MAX_OUTPUT_SIZE_BYTES
SCRIPT_ENV = CONFIGURATION.SCRIPT_ENV
SCRIPT_MAX_DISK = CONFIGURATION.SCRIPT_MAX_DISK
SCRIPT_MAX_MEMORY = CONFIGURATION.SCRIPT_MAX_MEMORY
SCRIPT_MAX_PROCESSES = CONFIGURATION.SCRIPT_MAX_PROCESSES
SCRIPT_TIMEOUT_SECONDS = CONFIGURATION.SCRIPT_TIMEOUT_SECONDS
SCRIPT_USER = CONFIGURATION.SCRIPT_USER
RUN_RETENTION_BYTES = CONFIGURATION.RUN_RETENTION_BYTES
RUN_RETENTION_DAYS = CONFIGURATION.RUN_RETENTION_DAYS
TRUSTED_PROXIES = CONFIGURATION.TRUSTED_PROXIES
UI_HEADER = CONFIGURATION.UI_HEADER

DEBUG = False
SECRET_KEY = CONFIGURATION.SECRET_KEY
ALLOWED_HOSTS = list(CONFIGURATION.ALLOWED_HOSTS)
USE_TZ = True
TIME_ZONE = "UTC"
USE_I18N = False
ROOT_URLCONF = "runbookweb.urls"
ASGI_APPLICATION = "runbookweb.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "channels",
    "csp",
    "django_htmx",
    "ninja",
    "axes",
    "runbooks",
]

MIDDLEWARE = [
    "runbookweb.correlation.CorrelationMiddleware",
    "runbooks.web.observe.ObserveMiddleware",
    "django.middleware.security.SecurityMiddleware",
    "runbookweb.assets.AssetsMiddleware",
    "csp.middleware.CSPMiddleware",
    "runbooks.api.gate.ApiMiddleware",
    # Inside of the API: what programs read as it comes must not be gathered. Streams never get here.
    "django.middleware.gzip.GZipMiddleware",
    "runbookweb.cookies.SecureCookiesMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "runbookweb.zone.ZoneMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "runbooks.access.identify.ActorMiddleware",
    "axes.middleware.AxesMiddleware",
    "runbooks.web.errors.WordsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "runbooks.web.frame.every_page",
            ],
        },
    },
]

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": CONFIGURATION.database,
        "OPTIONS": {
            # A transaction that reads first and writes later would fail at once under another writer, whatever
            # the timeout; one that takes the write lock at its start waits for it.
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            # NORMAL may lose the newest commits in a power cut: a run whose script has begun would be `queued`
            # again, and its script started a second time. Without secure_delete, what has been deleted may stay in
            # the file: sessions, and the sealed values of runs that have begun.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA secure_delete=ON;",
        },
    },
}

CHANNEL_LAYERS = {"default": {"BACKEND": "channels.layers.InMemoryChannelLayer"}}

SESSION_COOKIE_NAME = "runbookweb_session"
SESSION_COOKIE_SAMESITE = "Lax"
CSRF_COOKIE_NAME = "runbookweb_csrf"
CSRF_COOKIE_HTTPONLY = True
CSRF_FAILURE_VIEW = "runbooks.web.start.csrf_failed"
LOGIN_URL = "/login/"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
# By both: by the name alone, anybody could lock somebody out; by the address alone, one everybody behind a proxy.
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_CALLABLE = "runbooks.access.accounts.guessed"
AXES_CLIENT_IP_CALLABLE = "runbooks.access.accounts.guesser"
AXES_LOCKOUT_CALLABLE = "runbooks.web.sign_in.locked_out"
AXES_RESET_ON_SUCCESS = True
# Whoever goes on guessing while locked out would otherwise keep the owner of the name waiting for ever.
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_DISABLE_ACCESS_LOG = True
AXES_VERBOSE = False
AXES_ENABLE_ADMIN = False  # `manage.py axes_reset` does more
# Or a form that comes by TLS would look as if another site's page had sent it. A client that makes the header up fools
# itself alone: no page can make a browser send it.
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": ["'none'"],
        "script-src": ["'self'"],
        "style-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "font-src": ["'self'"],
        "connect-src": ["'self'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'none'"],
        "base-uri": ["'none'"],
    },
}

# What the server lets through stays in memory: a full disk is no reason to refuse a form.
FILE_UPLOAD_MAX_MEMORY_SIZE = 3 * 1024 * 1024

STATIC_URL = "static/"
STATICFILES_DIRS = [BASE_DIR / "static"]
# Files are found where packages and the project keep them: there is no collect step that could be forgotten.
WHITENOISE_USE_FINDERS = True
WHITENOISE_ALLOW_ALL_ORIGINS = False  # no other site has any use for them
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "runbookweb.assets.Assets"},
}

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"json": {"()": JsonLines}},
    "filters": {
        "short": {"()": "django.utils.log.CallbackFilter", "callback": without_clients_tracebacks},
    },
    "handlers": {
        "stderr": {
            "class": "logging.StreamHandler",
            "formatter": "json",
            "filters": ["short"],
            # Here, too: a logger below with a level of its own would not heed the root's.
            "level": CONFIGURATION.LOGGING_LEVEL,
        },
    },
    "root": {"handlers": ["stderr"], "level": CONFIGURATION.LOGGING_LEVEL},
    "loggers": {
        # Daphne reports each start-up step at INFO; `serve` says what an operator needs to know.
        "daphne": {"level": "WARNING"},
        # It reports each step of a sign-in at INFO.
        "axes": {"level": "WARNING"},
        # It reports each step of reading a runbook at DEBUG.
        "markdown_it": {"level": "WARNING"},
        # Django names each 404 and 403 a warning; they are ordinary answers here.
        "django.request": {"level": "ERROR"},
    },
}
