# ruff: noqa: E501 (a row is a line where it can be)
"""What the environment may hold and is refused; `given` is the value and what is done with it."""

from __future__ import annotations

from .row import Row

PORT = ("is no port", "set one from 1 to 65535, or unset it for")
SECONDS = ("is no number from 0 to 604800", "set one, or unset it for 90")
FOLDER = "set it to a folder, or unset it for"
SECRET = "make one with `imagesmith secret`"
URL = "set IMAGESMITH_CATALOG_URL to sqlite:////path/catalog.db or postgresql://user:password@host/database"
POINTS = "check what IMAGESMITH_CATALOG_URL points to"
PLACE = "set IMAGESMITH_HOME or IMAGESMITH_CATALOG_URL to a place that can be written"
AIRFLOW = "set IMAGESMITH_AIRFLOW_URL to where it runs"
USER = "check IMAGESMITH_AIRFLOW_USER and IMAGESMITH_AIRFLOW_PASSWORD"

BUILD, STATUS, IMAGES, VALIDATE = ["build", "dstat"], ["status"], ["images"], ["validate"]
SANDBOX = ["sandbox", "status"]

# Read by commands: exit code 1 and the line on standard error.
COMMANDS = [
    Row("env-airflow-port-in-words", "IMAGESMITH_AIRFLOW_PORT", ("abc", BUILD), ("'abc' is no port", PORT[1])),
    Row("env-airflow-port-0", "IMAGESMITH_AIRFLOW_PORT", ("0", BUILD), PORT),
    Row("env-airflow-port-negative", "IMAGESMITH_AIRFLOW_PORT", ("-8080", BUILD), PORT),
    Row("env-airflow-port-65536", "IMAGESMITH_AIRFLOW_PORT", ("65536", BUILD), PORT),
    Row("env-airflow-port-a-fraction", "IMAGESMITH_AIRFLOW_PORT", ("8080.5", BUILD), PORT),
    Row("env-airflow-port-with-a-blank", "IMAGESMITH_AIRFLOW_PORT", ("8080 ", BUILD), PORT),
    Row("env-airflow-port-in-wide-digits", "IMAGESMITH_AIRFLOW_PORT", ("８０８０", BUILD), PORT),
    Row("env-airflow-port-of-5000-digits", "IMAGESMITH_AIRFLOW_PORT", ("9" * 5_000, BUILD), PORT),
    Row("env-sandbox-port-in-words", "IMAGESMITH_SANDBOX_PORT", ("$(reboot)", SANDBOX), ("'$(reboot)' is no port", PORT[1])),
    Row("env-sandbox-port-a-host", "IMAGESMITH_SANDBOX_PORT", ("1@evil.example", SANDBOX), PORT),
    Row("env-home-a-file", "IMAGESMITH_HOME", ("FILE", STATUS), ("is not a folder", FOLDER)),
    Row("env-home-below-a-file", "IMAGESMITH_HOME", ("FILE/below", IMAGES), ("Not a directory", PLACE)),
    Row("env-home-of-nobody", "IMAGESMITH_HOME", ("~nobody-of-this-name/x", STATUS), ("is no path", FOLDER)),
    Row("env-home-of-5000", "IMAGESMITH_HOME", ("/" + "x" * 5_000, STATUS), ("is no path: File name too long", FOLDER)),
    Row("env-home-a-device", "IMAGESMITH_HOME", ("/dev/null", STATUS), ("/dev/null is not a folder", FOLDER)),
    Row("env-include-a-file", "IMAGESMITH_INCLUDE", ("FILE", VALIDATE), ("is not a folder", FOLDER)),
    Row("env-include-of-nobody", "IMAGESMITH_INCLUDE", ("~nobody-of-this-name", VALIDATE), ("is no path", FOLDER)),
    Row("env-include-of-5000", "IMAGESMITH_INCLUDE", ("y" * 5_000, VALIDATE), ("is no path: File name too long", FOLDER)),
    Row("env-catalog-no-url", "the catalog's address is no database URL", ("here", STATUS), (URL,)),
    Row("env-catalog-port-in-words", "the catalog's address is no database URL", ("postgresql://u@h:five/d", STATUS), (URL,)),
    Row("env-catalog-on-mysql", "the catalog cannot live on mysql", ("mysql://u:hunter2@h/d", STATUS), (URL,)),
    Row("env-catalog-on-a-made-up-word", "the catalog cannot live on ossystem", ("ossystem://h/d", STATUS), (URL,)),
    Row("env-catalog-in-memory", "a catalog in memory is lost with its process", ("sqlite://", STATUS), (URL,)),
    Row("env-catalog-a-text-file", "file is not a database", ("sqlite:///FILE", STATUS), (POINTS,)),
    Row("env-catalog-a-folder", "unable to open database file", ("sqlite:///FOLDER", IMAGES), (POINTS,)),
    Row("env-catalog-below-a-file", "File exists", ("sqlite:///FILE/catalog.db", STATUS), (PLACE,)),
    Row("env-catalog-without-tables", "no such table", ("sqlite:///FOLDER/new.db", STATUS), ("`make up` or Catalog().upgrade() brings it to this version",)),
    Row("env-catalog-unknown-option", "invalid connection option", ("postgresql://u:hunter2@127.0.0.1:1/d?colour=red", STATUS), (POINTS,)),
    Row("env-catalog-bad-option", "invalid sslmode value", ("postgresql://u:hunter2@127.0.0.1:1/d?sslmode=maybe", STATUS), (POINTS,)),
    Row("env-catalog-port-99999", "invalid port number", ("postgresql://u:hunter2@127.0.0.1:99999/d", STATUS), (POINTS,)),
    Row("env-airflow-url-no-url", "Airflow does not answer at nowhere", ("nowhere", BUILD), (AIRFLOW,)),
    Row("env-airflow-url-of-a-file", "Airflow does not answer at file:///etc/passwd", ("file:///etc/passwd", BUILD), (AIRFLOW,)),
    Row("env-airflow-url-port-99999", "Airflow does not answer at http://127.0.0.1:99999", ("http://127.0.0.1:99999", BUILD), (AIRFLOW,)),
    Row("env-airflow-url-open-bracket", "Airflow does not answer at http://[::1", ("http://[::1", BUILD), (AIRFLOW,)),
    Row("env-airflow-url-a-label-of-100", "Airflow does not answer at http://aaaa", (f"http://{'a' * 100}.example", BUILD), (AIRFLOW,)),
    Row("env-airflow-url-with-a-terminal-escape", r"Airflow does not answer at http://127.0.0.1:1/\x1b[2J", ("http://127.0.0.1:1/\x1b[2J", BUILD), (AIRFLOW,)),
    Row("env-airflow-url-not-utf-8", r"Airflow does not answer at http://\udcff", ("http://\udcff", BUILD), (AIRFLOW,)),
    Row("env-airflow-url-of-another-program", "is no Airflow", ("PROGRAM", BUILD), (AIRFLOW,)),
    Row("env-airflow-user-unknown", "does not let user bob", ("bob", BUILD), (USER,)),
    Row("env-airflow-password-wrong", "Invalid credentials", ("hunter2", BUILD), (USER,)),
]  # fmt: skip
VARIABLES = {
    "env-catalog": "IMAGESMITH_CATALOG_URL",
    "env-airflow-url": "IMAGESMITH_AIRFLOW_URL",
    "env-airflow-user": "IMAGESMITH_AIRFLOW_USER",
    "env-airflow-password": "IMAGESMITH_AIRFLOW_PASSWORD",
}

# Read by tasks.
PATIENCE = [
    Row("env-patience-in-words", "IMAGESMITH_WORKER_PATIENCE", "abc", ("'abc' is no number from 0 to 604800", SECONDS[1])),
    Row("env-patience-negative", "IMAGESMITH_WORKER_PATIENCE", "-1", SECONDS),
    Row("env-patience-infinite", "IMAGESMITH_WORKER_PATIENCE", "inf", SECONDS),
    Row("env-patience-not-a-number", "IMAGESMITH_WORKER_PATIENCE", "nan", SECONDS),
    Row("env-patience-with-a-unit", "IMAGESMITH_WORKER_PATIENCE", "90s", SECONDS),
    Row("env-patience-beyond-a-week", "IMAGESMITH_WORKER_PATIENCE", "604801", SECONDS),
    Row("env-patience-of-5000-digits", "IMAGESMITH_WORKER_PATIENCE", "9" * 5_000, SECONDS),
]  # fmt: skip
SECRETS = [
    Row("env-secret-none", "IMAGESMITH_SECRET is not set", "", (SECRET, "give every component the same")),
    Row("env-secret-short", "IMAGESMITH_SECRET holds 8 bytes, 32 are needed", "hunter2hunt", (SECRET,)),
    Row("env-secret-not-ascii", "IMAGESMITH_SECRET is not URL-safe base64", "é" * 50, (SECRET,)),
    Row("env-secret-not-utf-8", "IMAGESMITH_SECRET is not URL-safe base64", "\udcff" * 50, (SECRET,)),
    Row("env-secret-of-an-odd-length", "IMAGESMITH_SECRET is not URL-safe base64", "a" * 45, (SECRET,)),
    Row("env-secret-a-sentence", "IMAGESMITH_SECRET is not URL-safe base64", "correct horse battery staple, correct horse battery staple", (SECRET,)),
]  # fmt: skip

# What `airflow up` has written and somebody has changed: the file's content.
RECORDED = [
    Row("env-recorded-open-quote", "airflow/environment", b"export 'IMAGESMITH_SECRET=x\n", ("No closing quotation", "remove it, and `make up` writes it anew")),
    Row("env-recorded-not-text", "airflow/environment", b"\xff\xfe\n", ("can't decode", "remove it, and `make up` writes it anew")),
]  # fmt: skip
KEYS = [
    Row("env-keys-empty", "keys.json", b"", ("cannot be read as this deployment's secrets", "remove it to start with new ones")),
    Row("env-keys-cut-off", "keys.json", b'{"fernet_key": "hunter2', ("cannot be read as this deployment's secrets", "put back what it held")),
    Row("env-keys-some-missing", "keys.json", b'{"fernet_key": "hunter2"}', ("missing 5 required positional arguments", "put back what it held")),
    Row("env-keys-a-list", "keys.json", b"[]", ("cannot be read as this deployment's secrets", "put back what it held")),
]  # fmt: skip

# Of the containers' first start: the variables that are set.
FIRST_START = [
    Row("env-first-start-no-password", "AIRFLOW_ADMIN_PASSWORD is not set", {"AIRFLOW_ADMIN_PASSWORD": ""}, ("`make env` writes an .env",)),
    Row("env-first-start-no-file", "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE is not set", {"AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": ""}, ("`make env` writes an .env",)),
    Row("env-first-start-catalog-no-url", "the catalog's address is no database URL", {"IMAGESMITH_CATALOG_URL": "here"}, (URL,)),
]  # fmt: skip
