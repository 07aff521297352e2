"""Settings as people have them; ``SHOP_*`` variables choose what a test is about."""

import os

if os.environ.get("SHOP_INSTRUMENT") == "settings":
    import otelbridge

    otelbridge.instrument()

SECRET_KEY = "for tests"
DEBUG = bool(os.environ.get("SHOP_DEBUG"))
DEBUG_PROPAGATE_EXCEPTIONS = bool(os.environ.get("SHOP_PROPAGATE"))
ALLOWED_HOSTS = ["127.0.0.1", "testserver"]
ROOT_URLCONF = "shop.urls"
WSGI_APPLICATION = "shop.wsgi.application"
MIDDLEWARE = ["shop.middleware.Broken", "django.middleware.common.CommonMiddleware"]
if os.environ.get("SHOP_INSTRUMENT") == "middleware":
    MIDDLEWARE.insert(0, "otelbridge.frameworks.django.Middleware")

# Without "disable_existing_loggers": False, as many have it: Django's own loggers fall silent.
LOGGING = {
    "version": 1,
    "formatters": {"plain": {"format": "theirs %(levelname)s %(name)s %(message)s"}},
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "plain"}},
    "loggers": {"shop": {}},
    "root": {"handlers": ["console"], "level": "INFO"},
}
if os.environ.get("SHOP_LOGGING") == "default":
    LOGGING = {}
