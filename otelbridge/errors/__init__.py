"""Errors that nobody caught: where they end in a Python program, and what is told of them.

Each becomes a log record whose logger says where it ended (``sys.excepthook``,
``threading.excepthook``, ``asyncio``, ``sys.unraisablehook``, ``multiprocessing``,
``concurrent.futures``), in the trace in which it was raised. The program ends, prints and goes on
as it would have without us, and nothing that goes wrong here is added to what went wrong there.
"""
