"""The gRPC gate passes calls on and answers them with a status, as it is told."""

from __future__ import annotations

import sys

from tests.programs import finish

# In a program of its own: gRPC's threads would stay in the process of the tests.
PROGRAM = """
    from concurrent import futures

    import grpc
    from google.rpc import error_details_pb2, status_pb2
    from tests.faults.gate import Pass
    from tests.faults.grpc_gate import GrpcGate, Status

    class Echo(grpc.GenericRpcHandler):
        def service(self, details):
            return grpc.unary_unary_rpc_method_handler(
                lambda request, context: details.method.encode() + b" " + request
            )

    server = grpc.server(futures.ThreadPoolExecutor(2))
    server.add_generic_rpc_handlers((Echo(),))
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with GrpcGate(port) as gate:
        call = grpc.insecure_channel(f"127.0.0.1:{gate.port}").unary_unary("/some.Service/Call")
        assert call(b"one", timeout=10) == b"/some.Service/Call one"
        gate.fault = Status("UNAVAILABLE", retry=1.5)
        try:
            call(b"two", timeout=10)
        except grpc.RpcError as error:
            assert error.code() is grpc.StatusCode.UNAVAILABLE
            details = dict(error.trailing_metadata())["grpc-status-details-bin"]
        info = error_details_pb2.RetryInfo()
        assert status_pb2.Status.FromString(details).details[0].Unpack(info)
        assert info.retry_delay.ToMilliseconds() == 1500
        gate.fault = Pass()
        assert call(b"three", timeout=10) == b"/some.Service/Call three"
        assert gate.requests == 3
    server.stop(0).wait()
    print("done")
"""


def test_calls_are_passed_on_or_answered_with_a_status() -> None:
    ended = finish(PROGRAM, PYTHONPATH=":".join(path for path in sys.path if path))
    assert ended.out.endswith("done\n")
