"""A gate that speaks gRPC: it passes calls on, or answers them with a status.

It runs in a process of its own, since gRPC's threads and the starting of programs do not go
together: ``python -m tests.faults.grpc_gate PORT`` prints where it listens. Each line it reads is a
status with the seconds to wait until the next attempt, or empty for none; it answers with how many
calls it has had.
"""

from __future__ import annotations

import subprocess
import sys
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.faults.gate import Pass


@dataclass(frozen=True)
class Status:
    """Calls are answered with it; ``retry`` seconds are asked for unless 0 (RetryInfo)."""

    code: str
    retry: float = 0.0


class GrpcGate:
    """Listens on the loopback address while in a ``with`` block.

    Attributes:
        port: where it listens.
    """

    def __init__(self, upstream: int) -> None:
        """Plan to listen, before a gRPC server at a port of this machine."""
        self.upstream = upstream
        self.port = 0
        self._fault: Pass | Status = Pass()

    def __enter__(self) -> GrpcGate:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.faults.grpc_gate", str(self.upstream)],
            cwd=Path(__file__).parents[2],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *exception: object) -> None:
        # The end of what it reads is its end.
        self._process.communicate(timeout=20)

    @property
    def fault(self) -> Pass | Status:
        """What is wrong now."""
        return self._fault

    @fault.setter
    def fault(self, fault: Pass | Status) -> None:
        self._fault = fault
        self._tell()

    @property
    def requests(self) -> int:
        """How many calls came to it, whatever became of them."""
        return self._tell()

    def _tell(self) -> int:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        fault = self._fault
        text = f"{fault.code} {fault.retry}" if isinstance(fault, Status) else ""
        self._process.stdin.write(text + "\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())


def serve(upstream: int, orders: IO[str], answers: IO[str]) -> None:
    """Pass calls on, or do not, as it is told."""
    import grpc

    fault: Status | None = None
    count = 0
    channel = grpc.insecure_channel(f"127.0.0.1:{upstream}")

    class Handler(grpc.GenericRpcHandler):
        def service(self, details: grpc.HandlerCallDetails) -> Any:
            def answer(request: bytes, context: grpc.ServicerContext) -> bytes:
                nonlocal count
                count += 1
                if fault is not None:
                    context.set_trailing_metadata(_details(fault))
                    context.abort(grpc.StatusCode[fault.code], "the gate says so")
                return channel.unary_unary(details.method)(request, timeout=30)

            return grpc.unary_unary_rpc_method_handler(answer)

    server = grpc.server(futures.ThreadPoolExecutor(8))
    server.add_generic_rpc_handlers((Handler(),))
    print(server.add_insecure_port("127.0.0.1:0"), file=answers, flush=True)
    server.start()
    for line in orders:
        code, _, retry = line.strip().partition(" ")
        fault = Status(code, float(retry)) if code else None
        print(count, file=answers, flush=True)
    server.stop(0).wait()


def _details(fault: Status) -> tuple[tuple[str, bytes], ...]:
    if not fault.retry:
        return ()
    import grpc
    from google.protobuf import any_pb2
    from google.rpc import error_details_pb2, status_pb2

    info = error_details_pb2.RetryInfo()
    info.retry_delay.FromNanoseconds(int(fault.retry * 1e9))
    detail = any_pb2.Any()
    detail.Pack(info)
    status = status_pb2.Status(code=grpc.StatusCode[fault.code].value[0], details=[detail])
    return (("grpc-status-details-bin", status.SerializeToString()),)


if __name__ == "__main__":
    serve(int(sys.argv[1]), sys.stdin, sys.stdout)
