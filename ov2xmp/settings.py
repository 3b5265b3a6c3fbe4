"""Settings of every process, read once from environment variables prefixed ``OV2XMP_``.

A secret may also come from a file: ``OV2XMP_SECRET_KEY_FILE`` names the file that holds what
``OV2XMP_SECRET_KEY`` would. A value that cannot be read stops the process with the variable's
name. ``docs/settings.md`` explains each variable.
"""

import hashlib
import os
import socket
import tempfile
from collections.abc import Callable
from datetime import timedelta
from functools import wraps
from pathlib import Path
from typing import ParamSpec, TypeVar
from urllib.parse import quote, urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from filestore import account, configuration, environment, logs

BASE_DIR = environment.BASE_DIR

Given = ParamSpec("Given")
Value = TypeVar("Value")


def named_to_django(read: Callable[Given, Value]) -> Callable[Given, Value]:
    """Make a reader of a setting fail with the error that Django's commands show without a stack trace."""

    @wraps(read)
    def reader(*arguments: Given.args, **options: Given.kwargs) -> Value:
        try:
            return read(*arguments, **options)
        except environment.SettingError as error:
            raise ImproperlyConfigured(str(error)) from error

    return reader


env = named_to_django(environment.env)
env_bool = named_to_django(environment.env_bool)
env_number = named_to_django(environment.env_number)
env_int = named_to_django(environment.env_int)
env_list = named_to_django(environment.env_list)
env_networks = named_to_django(environment.env_networks)
env_choice = named_to_django(environment.env_choice)


def embedded_redis_socket(data_dir: Path) -> Path:
    """Say where the embedded redis listens: in the data dir, unless that path is too long or too odd.

    A unix socket's path has at most 107 bytes, and must not hold what means something in a URL.
    Such a data dir gets a directory of its own under the system's temporary directory, named
    after the data dir.
    """
    path = data_dir / "redis.sock"
    if len(os.fsencode(path)) <= 100 and quote(str(path), safe="/ ") == str(path):
        return path
    digest = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    return Path(tempfile.gettempdir()) / f"ov2xmp-{os.getuid()}-{digest}" / "redis.sock"


# HMAC-SHA256 signs tokens with it, and is no stronger than its key (RFC 7518 section 3.2).
MIN_SECRET_KEY = 32

DEBUG = env_bool("OV2XMP_DEBUG")
DATA_DIR = named_to_django(environment.data_dir)()

SECRET_KEY = env("OV2XMP_SECRET_KEY")
if not SECRET_KEY:
    if not DEBUG and not env("OV2XMP_DATA_DIR"):
        raise ImproperlyConfigured(
            "Set OV2XMP_SECRET_KEY or OV2XMP_SECRET_KEY_FILE, or name a data directory in "
            "OV2XMP_DATA_DIR where a generated key is kept."
        )
    SECRET_KEY = environment.read_or_create_secret(DATA_DIR / "secret-key")
if len(SECRET_KEY) < MIN_SECRET_KEY:
    raise ImproperlyConfigured(f"OV2XMP_SECRET_KEY must have at least {MIN_SECRET_KEY} characters, chosen at random.")

ALLOWED_HOSTS = env_list("OV2XMP_DJANGO_ALLOWED_HOSTS", "localhost,127.0.0.1")
CSRF_TRUSTED_ORIGINS = env_list("OV2XMP_CSRF_TRUSTED_ORIGINS")

# Peers whose X-Forwarded-* and Client-Cert headers are believed.
TRUSTED_PROXIES = env_networks("OV2XMP_TRUSTED_PROXIES")

BIND = named_to_django(configuration.bind)()
WEB_PORT = env_int("OV2XMP_WEB_PORT", 8000)
CSMS_PORT = env_int("OV2XMP_CSMS_PORT", 9000)
FTP_PORT = named_to_django(configuration.ftp_port)()
FILES_PORT = named_to_django(configuration.files_port)()
# What stations upload and fetch, in the folder that the file servers share. Sizes are bytes.
FILES = named_to_django(configuration.read_files)()
FILES_DIR, FILES_MAX_SIZE, FILES_MIN_FREE = FILES.directory, FILES.max_size, FILES.min_free


def public_host() -> str:
    """Say where stations reach this machine, as far as is known; an address that means all of them is none."""
    host = env("OV2XMP_PUBLIC_HOST") or BIND
    if host in configuration.LOOPBACK:
        host = "127.0.0.1"
    return f"[{host}]" if ":" in host else host


def file_server_url(name: str, default: str, schemes: tuple[str, ...], login: account.Account) -> str:
    """Read the base URL of a file server as stations see it, and put the account in where it names none."""
    url = env(name) or default
    try:
        parts = urlsplit(url)
        sound = parts.scheme in schemes and parts.hostname and parts.port != 0 and url.isascii() and url.isprintable()
    except ValueError:
        sound = False
    if not sound or " " in url or parts.query or parts.fragment:
        raise ImproperlyConfigured(f"{name} must be a URL that begins with {' or '.join(schemes)} and names a host")
    if "@" in parts.netloc or not (login.username and login.password):
        return url
    userinfo = f"{quote(login.username, safe='')}:{quote(login.password, safe='')}"
    return parts._replace(netloc=f"{userinfo}@{parts.netloc}").geturl()


FTP_ACCOUNT = named_to_django(account.read_account)(account.FTP)
HTTP_ACCOUNT = named_to_django(account.read_account)(account.HTTP)
FTP_SCHEME = "ftps" if env("OV2XMP_FTP_TLS_CERTIFICATE").strip() else "ftp"
FTP_URL = file_server_url(
    "OV2XMP_FTP_URL", f"{FTP_SCHEME}://{public_host()}:{FTP_PORT}/files", ("ftp", "ftps"), FTP_ACCOUNT
)
HTTP_UPLOAD_URL = file_server_url(
    "OV2XMP_HTTP_UPLOAD_URL",
    f"http://{public_host()}:{FILES_PORT}/http/upload",
    ("http", "https"),
    HTTP_ACCOUNT,
)
HTTP_FILES_URL = file_server_url(
    "OV2XMP_HTTP_FILES_URL",
    f"http://{public_host()}:{FILES_PORT}/http/files",
    ("http", "https"),
    HTTP_ACCOUNT,
)

# TLS for stations, on a port of its own. The PEM files are the csms's to read.
CSMS_TLS_PORT = env_int("OV2XMP_CSMS_TLS_PORT", 9443)
CSMS_TLS_CERTIFICATES = env_list("OV2XMP_CSMS_TLS_CERTIFICATE")
CSMS_TLS_KEYS = env_list("OV2XMP_CSMS_TLS_KEY")
if len(CSMS_TLS_CERTIFICATES) != len(CSMS_TLS_KEYS):
    raise ImproperlyConfigured("OV2XMP_CSMS_TLS_KEY must name one file for each of OV2XMP_CSMS_TLS_CERTIFICATE.")
# What stations' certificates are verified against; empty: the root of the embedded authority, once there is one.
CSMS_TLS_CLIENT_CA = env("OV2XMP_CSMS_TLS_CLIENT_CA").strip()

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "channels",
    "rest_framework",
    "django_filters",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "chargers",
    "tasks",
    "api",
    # Its commands.
    "ov2xmp",
]

MIDDLEWARE = [
    "api.headers.SecurityHeaders",
    "api.slots.Slots",
    "api.cookies.SecureCookies",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

ROOT_URLCONF = "ov2xmp.urls"
ASGI_APPLICATION = "ov2xmp.asgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]

# How many requests work at once, each with a database connection, and how many seconds others wait for their turn.
WEB_MAX_REQUESTS = env_int("OV2XMP_WEB_MAX_REQUESTS", 20, minimum=1)
WEB_QUEUE_TIMEOUT = env_number("OV2XMP_WEB_QUEUE_TIMEOUT", 30)
# Requests a second of one user to one web process; ten seconds' worth may come at once. 0: no limit.
WEB_MAX_USER_RATE = env_number("OV2XMP_WEB_MAX_USER_RATE", 100)
# Bytes of a body that is parsed: JSON of REST, forms of the admin.
WEB_MAX_BODY = env_int("OV2XMP_WEB_MAX_BODY", 4 * 1024 * 1024, minimum=1024)
DATA_UPLOAD_MAX_MEMORY_SIZE = WEB_MAX_BODY
# How many seconds a client may leave a part of a download, or an update, unread.
WEB_SEND_TIMEOUT = env_number("OV2XMP_WEB_SEND_TIMEOUT", 60, minimum=0.1)
# How many updates may wait for a listener that reads too slowly, before it is disconnected.
LIVE_MAX_WAITING = env_int("OV2XMP_LIVE_MAX_WAITING", 5000, minimum=1)

# Seconds after which a connection attempt or a statement is given up. Both databases know both.
DATABASE_TIMEOUT = env_int("OV2XMP_DATABASE_TIMEOUT", 10, minimum=1)


def database_url() -> str:
    if url := env("OV2XMP_DATABASE_URL"):
        return url
    if name := env("OV2XMP_POSTGRES_DB"):
        user = quote(env("OV2XMP_POSTGRES_USER", "postgres"), safe="")
        password = quote(env("OV2XMP_POSTGRES_PASSWORD"), safe="")
        host = env("OV2XMP_POSTGRES_HOST", "localhost")
        return f"postgres://{user}:{password}@{host}:{env_int('OV2XMP_POSTGRES_PORT', 5432)}/{quote(name, safe='')}"
    return f"sqlite:///{quote(str(DATA_DIR / 'db.sqlite3'))}"


def database() -> dict[str, object]:
    parsed = dj_database_url.parse(database_url(), conn_max_age=60, conn_health_checks=True)
    config: dict[str, object] = dict(parsed)
    if config["ENGINE"] == "django.db.backends.sqlite3":
        config["OPTIONS"] = {
            "timeout": DATABASE_TIMEOUT,
            # Take the write lock at BEGIN: a reader that turns writer would fail at once.
            "transaction_mode": "IMMEDIATE",
            # FULL: what was acknowledged to a station survives a power cut.
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
        }
    elif config["ENGINE"] == "django.db.backends.postgresql":
        interval = max(DATABASE_TIMEOUT // 3, 1)
        session = {
            "statement_timeout": DATABASE_TIMEOUT * 1000,
            # The time zone as Django wants it, which would ask for it on each connection else.
            "TimeZone": "UTC",
            # The server asks as well: a client that it has lost would keep its locks for hours.
            "tcp_user_timeout": DATABASE_TIMEOUT * 1000,
            "tcp_keepalives_idle": DATABASE_TIMEOUT,
            "tcp_keepalives_interval": interval,
            "tcp_keepalives_count": 3,
        }
        config["OPTIONS"] = {
            **parsed.get("OPTIONS", {}),
            "connect_timeout": DATABASE_TIMEOUT,
            "options": " ".join(f"-c {name}={value}" for name, value in session.items()),
            # A network that goes silent resets nothing: what is sent must be received, and who sends nothing is asked.
            "tcp_user_timeout": DATABASE_TIMEOUT * 1000,
            "keepalives_idle": DATABASE_TIMEOUT,
            "keepalives_interval": interval,
            "keepalives_count": 3,
        }
    else:
        raise ImproperlyConfigured("OV2XMP_DATABASE_URL must name PostgreSQL or SQLite.")
    return config


DATABASES = {"default": database()}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"


def redis_url() -> str:
    if url := env("OV2XMP_REDIS_URL"):
        return url
    if host := env("OV2XMP_REDIS_BROKER_HOST"):
        password = quote(env("OV2XMP_REDIS_BROKER_PASSWORD"), safe="")
        login = f":{password}@" if password else ""
        return f"redis://{login}{host}:{env_int('OV2XMP_REDIS_BROKER_PORT', 6379)}/0"
    return f"unix://{embedded_redis_socket(DATA_DIR)}"


REDIS_URL = redis_url()
# Every key and channel starts with it, so that two platforms can share one redis.
REDIS_PREFIX = env("OV2XMP_REDIS_PREFIX", "ov2xmp")
REDIS_TIMEOUT = env_number("OV2XMP_REDIS_TIMEOUT", 5, minimum=0.1)

CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
        "CONFIG": {
            "hosts": [
                {
                    "address": REDIS_URL,
                    "socket_timeout": REDIS_TIMEOUT,
                    "socket_connect_timeout": REDIS_TIMEOUT,
                    # A connection that redis has left is found out when it is used, and replaced at once.
                    "retry": Retry(NoBackoff(), 1),
                }
            ],
            "prefix": f"{REDIS_PREFIX}:live:",
        },
    }
}

# Frontends that may listen to live updates of one web process.
LIVE_MAX_LISTENERS = env_int("OV2XMP_LIVE_MAX_LISTENERS", 1000, minimum=1)


def keepalive() -> dict[int, int]:
    """Return the options of a TCP socket that finds out by itself that the network has lost its peer."""
    seconds = max(int(REDIS_TIMEOUT), 1)
    options = {
        "TCP_KEEPIDLE": seconds,
        "TCP_KEEPINTVL": max(seconds // 3, 1),
        "TCP_KEEPCNT": 3,
        "TCP_USER_TIMEOUT": seconds * 1000,
    }
    # Not every system has each of them.
    return {getattr(socket, name): value for name, value in options.items() if hasattr(socket, name)}


# kombu spells a unix socket's scheme "redis+socket"; redis-py calls it "unix".
CELERY_BROKER_URL = REDIS_URL.replace("unix://", "redis+socket://", 1)
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": f"{REDIS_PREFIX}:celery:",
    "socket_timeout": REDIS_TIMEOUT,
    "socket_connect_timeout": REDIS_TIMEOUT,
    # A worker waits for tasks without a limit, and would wait for ever for a redis that is not there any more.
    "socket_keepalive": True,
    "socket_keepalive_options": keepalive(),
}
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_SERIALIZER = "json"
CELERY_TIMEZONE = "UTC"
CELERY_BEAT_SCHEDULE_FILENAME = str(DATA_DIR / "beat-schedule")
CELERY_BEAT_SCHEDULE = {
    "sweep-commands": {"task": "tasks.sweep_commands", "schedule": 5.0},
    "sweep-nodes": {"task": "tasks.sweep_nodes", "schedule": 10.0},
    "time-out-jobs": {"task": "tasks.time_out_jobs", "schedule": 60.0},
    "time-out-reports": {"task": "tasks.time_out_reports", "schedule": 10.0},
    "sign-certificates": {"task": "tasks.sign_certificates", "schedule": 5.0},
    "warn-of-expiring-certificates": {"task": "tasks.warn_of_expiring_certificates", "schedule": timedelta(days=1)},
    "close-abandoned-transactions": {"task": "tasks.close_abandoned_transactions", "schedule": 60.0},
    "synchronise-local-lists": {"task": "tasks.synchronise_local_lists", "schedule": 60.0},
    "forget-customers": {"task": "tasks.forget_customers", "schedule": 5.0},
    "expire-reservations": {"task": "tasks.expire_reservations", "schedule": 5.0},
    "review-charging-profiles": {"task": "tasks.review_charging_profiles", "schedule": 60.0},
    "prune": {"task": "tasks.prune", "schedule": 300.0},
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": ["rest_framework_simplejwt.authentication.JWTAuthentication"],
    "DEFAULT_PERMISSION_CLASSES": ["api.permissions.RolePermission"],
    "DEFAULT_PAGINATION_CLASS": "api.pagination.Pagination",
    "DEFAULT_FILTER_BACKENDS": [
        "django_filters.rest_framework.DjangoFilterBackend",
        "rest_framework.filters.OrderingFilter",
    ],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["api.parsers.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "DEFAULT_THROTTLE_CLASSES": ["api.throttle.UserThrottle"],
    # What can be done is told by the OpenAPI document, not by OPTIONS.
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "api.errors.handle",
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}

# Of a user name at an address.
LOGIN_MAX_FAILED_ATTEMPTS = env_int("OV2XMP_LOGIN_MAX_FAILED_ATTEMPTS", 10)
# Of all user names together at an address.
LOGIN_MAX_FAILED_PER_ADDRESS = env_int("OV2XMP_LOGIN_MAX_FAILED_PER_ADDRESS", 100)
LOGIN_ATTEMPT_WINDOW = env_int("OV2XMP_LOGIN_ATTEMPT_WINDOW", 300, minimum=1)  # seconds

SIMPLE_JWT = {
    "ACCESS_TOKEN_LIFETIME": timedelta(minutes=env_number("OV2XMP_AUTH_TOKEN_LIFETIME_MINUTES", 60, minimum=1)),
    "REFRESH_TOKEN_LIFETIME": timedelta(days=1),
    "UPDATE_LAST_LOGIN": True,
    # A token ends with the password that it was given for.
    "CHECK_REVOKE_TOKEN": True,
}

SPECTACULAR_SETTINGS = {
    "TITLE": "O-V2X-MP",
    "DESCRIPTION": "The Open Vehicle-To-Grid Management Platform: drive charging stations over OCPP.",
    "VERSION": "0.1.0",
    "SERVE_INCLUDE_SCHEMA": False,
    # Fields of one name with different choices.
    "ENUM_NAME_OVERRIDES": {
        "ChargingProfilePurposeEnum": "chargers.choices.ChargingProfilePurpose",
        "JobFlagEnum": "chargers.choices.JobFlag",
        "FileKindEnum": "chargers.choices.FileKind",
        "FormatEnum": "chargers.choices.ConnectorFormat",
        "StateEnum": ["up", "down", "unknown"],
        "MessageFormatEnum": "chargers.choices.MessageFormat",
        "MessageStateEnum": "chargers.choices.MessageState",
        "ChargingProfilePurpose16Enum": ["ChargePointMaxProfile", "TxDefaultProfile", "TxProfile"],
    },
    "SERVE_PERMISSIONS": ["rest_framework.permissions.AllowAny"],
    "SERVE_AUTHENTICATION": [],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "REDOC_DIST": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"persistAuthorization": True, "docExpansion": "none", "filter": True},
}

STATIC_URL = "/static/"
# Static files come straight from the installed apps; nothing needs to be collected first.
WHITENOISE_USE_FINDERS = True

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"
USE_I18N = False
FORMAT_MODULE_PATH = ["ov2xmp.formats"]
USE_TZ = True

SECURE_CONTENT_TYPE_NOSNIFF = True
SESSION_COOKIE_HTTPONLY = True
# From the login on, whatever is done meanwhile.
SESSION_COOKIE_AGE = env_int("OV2XMP_ADMIN_SESSION_MINUTES", 720, minimum=1) * 60
X_FRAME_OPTIONS = "DENY"

# OCPP. Seconds, unless said otherwise.
OCPP_TIMEOUT = env_number("OV2XMP_OCPP_TIMEOUT", 30, minimum=0.1)
OCPP_PREREGISTRATION = env_bool("OV2XMP_OCPP_PREREGISTRATION_EVCS")
OCPP_HEARTBEAT_INTERVAL = env_int("OV2XMP_OCPP_HEARTBEAT_INTERVAL", 300, minimum=1)
OCPP_AUTHORIZE_UNKNOWN = env_bool("OV2XMP_OCPP_AUTHORIZE_UNKNOWN")
OCPP_ACCEPT_NO_TAG = env_bool("OV2XMP_OCPP_ACCEPT_NO_TAG")
OCPP_VALIDATION = env_choice("OV2XMP_OCPP_VALIDATION", "tolerant", ("tolerant", "strict"))
OCPP_REPAIR_JSON = env_bool("OV2XMP_OCPP_REPAIR_JSON")
OCPP_PATH = env("OV2XMP_OCPP_PATH", "/ws/ocpp")
OCPP_MIN_SECURITY_PROFILE = int(env_choice("OV2XMP_OCPP_MIN_SECURITY_PROFILE", "0", ("0", "1", "2", "3")))
if OCPP_MIN_SECURITY_PROFILE > 1 and not (CSMS_TLS_CERTIFICATES or TRUSTED_PROXIES):
    raise ImproperlyConfigured(
        "OV2XMP_OCPP_MIN_SECURITY_PROFILE demands TLS: set OV2XMP_CSMS_TLS_CERTIFICATE, "
        "or OV2XMP_TRUSTED_PROXIES where a proxy ends it."
    )
OCPP_PING_INTERVAL = env_number("OV2XMP_OCPP_PING_INTERVAL", 60)
OCPP_PING_TIMEOUT = env_number("OV2XMP_OCPP_PING_TIMEOUT", 60, minimum=0.1)
OCPP_HANDSHAKE_TIMEOUT = env_number("OV2XMP_OCPP_HANDSHAKE_TIMEOUT", 20, minimum=0.1)
OCPP_MAX_FAILED_ATTEMPTS = env_int("OV2XMP_OCPP_MAX_FAILED_ATTEMPTS", 10)
OCPP_ATTEMPT_WINDOW = env_number("OV2XMP_OCPP_ATTEMPT_WINDOW", 60, minimum=1)
OCPP_ATTEMPT_DELAY = env_number("OV2XMP_OCPP_ATTEMPT_DELAY", 5)
OCPP_SEND_TIMEOUT = env_number("OV2XMP_OCPP_SEND_TIMEOUT", 30, minimum=0.1)
OCPP_CLOSE_TIMEOUT = env_number("OV2XMP_OCPP_CLOSE_TIMEOUT", 5, minimum=0.1)
OCPP_DRAIN_TIMEOUT = env_number("OV2XMP_OCPP_DRAIN_TIMEOUT", 10, minimum=0.1)
OCPP_GREETING_GRACE = env_number("OV2XMP_OCPP_GREETING_GRACE", 30)
OCPP_MAX_MESSAGE_SIZE = env_int("OV2XMP_OCPP_MAX_MESSAGE_SIZE", 4 * 1024 * 1024, minimum=1024)  # bytes
# Bytes of messages that a csms process has not answered yet, of all stations.
OCPP_MAX_UNANSWERED_SIZE = env_int("OV2XMP_OCPP_MAX_UNANSWERED_SIZE", 256 * 1024 * 1024)
if OCPP_MAX_UNANSWERED_SIZE < OCPP_MAX_MESSAGE_SIZE:
    raise ImproperlyConfigured("OV2XMP_OCPP_MAX_UNANSWERED_SIZE must not be less than OV2XMP_OCPP_MAX_MESSAGE_SIZE.")
# Messages a second of a station and of all of a csms process, 0: no limit; the burst is what may come at once.
OCPP_MAX_MESSAGE_RATE = env_number("OV2XMP_OCPP_MAX_MESSAGE_RATE", 100)
OCPP_MAX_MESSAGE_BURST = env_int("OV2XMP_OCPP_MAX_MESSAGE_BURST", 1000, minimum=1)
OCPP_MAX_TOTAL_RATE = env_number("OV2XMP_OCPP_MAX_TOTAL_RATE", 0)
# Connections to a csms process, and those of them from one address, 0: no limit.
OCPP_MAX_CONNECTIONS = env_int("OV2XMP_OCPP_MAX_CONNECTIONS", 50_000, minimum=1)
OCPP_MAX_CONNECTIONS_PER_ADDRESS = env_int("OV2XMP_OCPP_MAX_CONNECTIONS_PER_ADDRESS", 10_000)
# What is kept of what stations make up: their connectors, and other records of each kind.
OCPP_MAX_CONNECTORS = env_int("OV2XMP_OCPP_MAX_CONNECTORS", 1000, minimum=1)
OCPP_MAX_RECORDS = env_int("OV2XMP_OCPP_MAX_RECORDS", 50_000, minimum=1)
# Beyond so many, unknown ones are not registered by themselves.
OCPP_MAX_STATIONS = env_int("OV2XMP_OCPP_MAX_STATIONS", 100_000)
OCPP_MAX_ID_TAGS = env_int("OV2XMP_OCPP_MAX_ID_TAGS", 1_000_000)
OCPP_MAX_QUEUED_CALLS = env_int("OV2XMP_OCPP_MAX_QUEUED_CALLS", 50, minimum=1)
OCPP_TRANSACTION_GRACE = env_number("OV2XMP_OCPP_TRANSACTION_GRACE", 300)
# Whether 2.x stations are asked for all their variables after the first boot, and after one with another firmware.
OCPP_INVENTORY = env_bool("OV2XMP_OCPP_INVENTORY", default=True)
OCPP_REPORT_TIMEOUT = env_number("OV2XMP_OCPP_REPORT_TIMEOUT", 120, minimum=1)
OCPP_JOB_TIMEOUT = env_number("OV2XMP_OCPP_JOB_TIMEOUT", 3600, minimum=1)

# Certificates of stations. The signer is the dotted path of a class as chargers.authority.Signer; empty signs none.
CERTIFICATE_SIGNER = env("OV2XMP_CERTIFICATE_SIGNER", "chargers.authority.EmbeddedAuthority").strip()
# The same for what stations show to vehicles (ISO 15118).
V2G_CERTIFICATE_SIGNER = env("OV2XMP_V2G_CERTIFICATE_SIGNER", "chargers.authority.EmbeddedV2GAuthority").strip()
# Contracts of vehicles. The provider is the dotted path of a class as chargers.contracts.Provider; empty: none.
ISO15118_PROVIDER = env("OV2XMP_ISO15118_PROVIDER").strip()
ISO15118_TIMEOUT = env_number("OV2XMP_ISO15118_TIMEOUT", 10, minimum=0.1)  # seconds
ISO15118_MAX_REQUESTS = env_int("OV2XMP_ISO15118_MAX_REQUESTS", 16, minimum=1)
ISO15118_CA = env("OV2XMP_ISO15118_CA").strip()
OCSP_RESPONDERS = frozenset(host.casefold() for host in env_list("OV2XMP_OCSP_RESPONDERS"))
CERTIFICATE_TIMEOUT = env_number("OV2XMP_CERTIFICATE_TIMEOUT", 60, minimum=1)  # seconds
CERTIFICATE_DAYS = env_int("OV2XMP_CERTIFICATE_DAYS", 365, minimum=1)
CPO_NAME = env("OV2XMP_CPO_NAME").strip()
OCPP_REMOTE_START_GRACE = env_number("OV2XMP_OCPP_REMOTE_START_GRACE", 600)

# Volts between a phase and neutral, for stations that take limits in another unit than the one asked for.
# The scheduler is the dotted path of a class as chargers.scheduling.Scheduler; empty gives no vehicle a schedule.
CHARGING_SCHEDULER = env("OV2XMP_CHARGING_SCHEDULER", "chargers.scheduling.Fastest").strip()
NOMINAL_VOLTAGE = env_number("OV2XMP_NOMINAL_VOLTAGE", 230, minimum=1)

# How long a batch may take before its stations are answered InternalError.
INTAKE_TIMEOUT = env_number("OV2XMP_INTAKE_TIMEOUT", 15, minimum=0.1)
INTAKE_MAX_BATCH = env_int("OV2XMP_INTAKE_MAX_BATCH", 500, minimum=1)
# A csms node counts as alive for the lease after it last said so, which it does three times a lease.
NODE_LEASE = env_number("OV2XMP_NODE_LEASE", 15, minimum=1)

# Retention: days after which rows that tell what was are removed; 0 keeps them for ever.
RETENTION_METER_VALUES = env_int("OV2XMP_RETENTION_METER_VALUES", 730)
RETENTION_TRANSACTION_EVENTS = env_int("OV2XMP_RETENTION_TRANSACTION_EVENTS", 730)
RETENTION_STATUSES = env_int("OV2XMP_RETENTION_STATUSES", 365)
RETENTION_EVENTS = env_int("OV2XMP_RETENTION_EVENTS", 365)
RETENTION_SECURITY_EVENTS = env_int("OV2XMP_RETENTION_SECURITY_EVENTS", 730)
RETENTION_COMMANDS = env_int("OV2XMP_RETENTION_COMMANDS", 365)
RETENTION_RESERVATIONS = env_int("OV2XMP_RETENTION_RESERVATIONS", 0)
RETENTION_JOBS = env_int("OV2XMP_RETENTION_JOBS", 0)
# Rows that a step looks at, and seconds that beat's run takes at most.
RETENTION_STEP = env_int("OV2XMP_RETENTION_STEP", 5000, minimum=1)
RETENTION_TIME_LIMIT = env_number("OV2XMP_RETENTION_TIME_LIMIT", 10, minimum=0.1)

LOG_LEVEL = named_to_django(logs.read_level)()
LOG_FORMAT = named_to_django(logs.read_format)()
LOGSTASH_ENABLE = env_bool("OV2XMP_LOGSTASH_ENABLE")
LOGSTASH_HOST = env("OV2XMP_LOGSTASH_HOST", "ov2xmp-logstash").strip()
LOGSTASH_PORT = env_int("OV2XMP_LOGSTASH_PORT", 5959, minimum=1)
LOGSTASH_TIMEOUT = env_number("OV2XMP_LOGSTASH_TIMEOUT", 5, minimum=0.1)  # seconds
LOGSTASH_STALL_TIMEOUT = env_number("OV2XMP_LOGSTASH_STALL_TIMEOUT", 60, minimum=0.1)  # seconds
LOGSTASH_QUEUE_SIZE = env_int("OV2XMP_LOGSTASH_QUEUE_SIZE", 8 * 1024 * 1024, minimum=1024)  # bytes
if LOGSTASH_ENABLE and not LOGSTASH_HOST:
    raise ImproperlyConfigured("OV2XMP_LOGSTASH_ENABLE is 1: name the host in OV2XMP_LOGSTASH_HOST.")

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {
        "context": {"()": "ov2xmp.logformat.ContextFilter"},
        "refusals": {"()": "ov2xmp.logformat.RefusalFilter"},
        # What a client did wrong, or a station refused, stands in the answer; what failed here is for the log too.
        "failed_here": {
            "()": "django.utils.log.CallbackFilter",
            "callback": lambda record: getattr(record, "status_code", 500) in (500, 503),
        },
    },
    "formatters": {
        "plain": {"()": "ov2xmp.logformat.PlainFormatter"},
        "json": {"()": "ov2xmp.logformat.JsonFormatter"},
        "logstash": {"()": "ov2xmp.logformat.LogstashFormatter"},
    },
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": LOG_FORMAT, "filters": ["context", "refusals"]},
        **(
            {
                "logstash": {
                    "class": "ov2xmp.logstash.LogstashHandler",
                    "formatter": "logstash",
                    "filters": ["context", "refusals"],
                    "host": LOGSTASH_HOST,
                    "port": LOGSTASH_PORT,
                    "timeout": LOGSTASH_TIMEOUT,
                    "stall_timeout": LOGSTASH_STALL_TIMEOUT,
                    "queue_size": LOGSTASH_QUEUE_SIZE,
                }
            }
            if LOGSTASH_ENABLE
            else {}
        ),
    },
    "root": {"handlers": ["console", "logstash"] if LOGSTASH_ENABLE else ["console"], "level": LOG_LEVEL},
    "loggers": {
        # Without the handlers that Django gives it: the root's write every line.
        "django": {"level": "INFO"},
        "django.server": {"level": "WARNING", "propagate": True},
        "django.request": {"filters": ["failed_here"]},
        "daphne": {"level": "WARNING"},
        # A line for each task would be one every second or so.
        "celery": {"level": "WARNING"},
        # Broken handshakes are counted in a metric; their stack traces tell an operator nothing (TR-13).
        "websockets": {"level": "CRITICAL"},
    },
}
