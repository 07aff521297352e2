"""Starts otelbridge in a process whose code does not mention it.

``otelbridge run`` puts this folder on ``PYTHONPATH``; Python then imports its ``sitecustomize``
before the program. ``opentelemetry-instrument`` finds otelbridge through the entry points that
OpenTelemetry defines for this, ``opentelemetry_distro`` and ``opentelemetry_configurator``.
"""
