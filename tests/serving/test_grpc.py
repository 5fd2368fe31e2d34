"""KServe v2 over gRPC, asked by Triton's own client; its answers are those of HTTP."""

import asyncio
import queue
import subprocess

import numpy as np
import pytest
from serving import serving
from tenon_program import DEMO, PROGRAM, ROOT

grpcclient = pytest.importorskip("tritonclient.grpc")
import grpc
from google.protobuf import descriptor_pb2, descriptor_pool
from tritonclient.grpc import model_config_pb2, service_pb2, service_pb2_grpc
from tritonclient.utils import InferenceServerException


@pytest.fixture
def client(server):
    with grpcclient.InferenceServerClient(f"127.0.0.1:{server.grpc}") as made:
        yield made


@pytest.fixture
def stub(server):
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
        yield service_pb2_grpc.GRPCInferenceServiceStub(channel)


def tensor(name, values):
    kinds = {np.float32: "FP32", np.int64: "INT64", np.object_: "BYTES"}
    made = grpcclient.InferInput(name, values.shape, kinds[values.dtype.type])
    made.set_data_from_numpy(values)
    return made


def sums_inputs(rows=2, start=0.0):
    a = np.arange(start, start + rows * 4, dtype=np.float32).reshape(rows, 4)
    return a, [tensor("A", a), tensor("B", np.ones_like(a)), tensor("ID", np.arange(rows, dtype=np.int64))]


def text_inputs(text):
    return [tensor("text_input", np.array([text.encode()], np.object_))]


def refused(call, code):
    with pytest.raises((grpc.RpcError, InferenceServerException)) as error:
        call()
    status = error.value.code() if isinstance(error.value, grpc.RpcError) else error.value.status()
    assert code in str(status), error.value
    return str(error.value)


def forget_json_names(message):
    """A compiler writes them down, a generated module does not."""
    for field in message.field:
        field.ClearField("json_name")
    for nested in message.nested_type:
        forget_json_names(nested)


@pytest.mark.parametrize("ours, theirs", [("grpc_service", service_pb2), ("model_config", model_config_pb2)])
def test_the_messages_are_those_of_the_client(ours, theirs, tmp_path):
    folder = ROOT / "src/serving/proto"
    subprocess.run(["protoc", f"-I{folder}", "--include_imports", f"--descriptor_set_out={tmp_path / 'set'}",
                    folder / f"{ours}.proto"], check=True)
    pool = descriptor_pool.DescriptorPool()
    for file in descriptor_pb2.FileDescriptorSet.FromString((tmp_path / "set").read_bytes()).file:
        pool.Add(file)
    mine, other = descriptor_pb2.FileDescriptorProto(), descriptor_pb2.FileDescriptorProto()
    pool.FindFileByName(f"{ours}.proto").CopyToProto(mine)
    theirs.DESCRIPTOR.CopyToProto(other)
    for message in [*mine.message_type, *other.message_type]:
        forget_json_names(message)
    for method in (method for file in (mine, other) for service in file.service for method in service.method):
        method.ClearField("options")
    for field in ("package", "message_type", "enum_type", "service"):
        assert getattr(mine, field) == getattr(other, field), field


def test_server_and_models(client, server):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("sums")
    assert not client.is_model_ready("nobody")
    assert client.get_server_metadata(as_json=True) == server.v2("GET", "/v2")
    metadata = client.get_model_metadata("sums")
    http = server.v2("GET", "/v2/models/sums")
    assert [one.name for one in metadata.inputs] == [one["name"] for one in http["inputs"]]
    assert [list(one.shape) for one in metadata.inputs] == [one["shape"] for one in http["inputs"]]
    config = client.get_model_config("sums").config
    assert config.max_batch_size == server.v2("GET", "/v2/models/sums/config")["max_batch_size"]
    assert {one.name for one in client.get_model_repository_index().models} >= {"sums", "llama-verse"}
    assert "nobody" in refused(lambda: client.get_model_metadata("nobody"), "NOT_FOUND")


def test_infer_equals_http(client, server):
    a, inputs = sums_inputs()
    before = client.get_inference_statistics("sums").model_stats[0].inference_stats.success.count
    result = client.infer("sums", inputs, request_id="seven",
                          outputs=[grpcclient.InferRequestedOutput("SHIFTED"), grpcclient.InferRequestedOutput("SUM")])
    assert result.get_response().id == "seven" and result.get_response().model_version == "1"
    assert np.array_equal(result.as_numpy("SUM"), a + 1)
    assert np.array_equal(result.as_numpy("SHIFTED"), [1, 2])
    after = client.get_inference_statistics("sums").model_stats[0].inference_stats.success.count
    assert after == before + 1
    best = client.infer("sums", inputs, outputs=[grpcclient.InferRequestedOutput("SUM", class_count=1)])
    assert best.as_numpy("SUM").tolist() == [[b"4.000000:3"], [b"8.000000:3"]]


def test_typed_contents(stub):
    request = service_pb2.ModelInferRequest(model_name="sums")
    for name in "AB":
        one = request.inputs.add(name=name, datatype="FP32", shape=[1, 4])
        one.contents.fp32_contents[:] = [1, 2, 3, 4]
    request.inputs.add(name="ID", datatype="INT64", shape=[1]).contents.int64_contents[:] = [5]
    answer = stub.ModelInfer(request)
    names = [one.name for one in answer.outputs]
    assert np.frombuffer(answer.raw_output_contents[names.index("SUM")], np.float32).tolist() == [2, 4, 6, 8]
    assert np.frombuffer(answer.raw_output_contents[names.index("SHIFTED")], np.int64).tolist() == [6]


def question():
    request = service_pb2.ModelInferRequest(model_name="sums")
    for name, kind, shape, data in (("A", "FP32", [1, 4], bytes(16)), ("B", "FP32", [1, 4], bytes(16)),
                                    ("ID", "INT64", [1], bytes(8))):
        request.inputs.add(name=name, datatype=kind, shape=shape)
        request.raw_input_contents.append(data)
    return request


def change(request, what):
    if what == "one content too few":
        del request.raw_input_contents[-1]
    elif what == "contents and raw contents":
        request.inputs[0].contents.fp32_contents[:] = [1, 2, 3, 4]
    elif what == "unknown datatype":
        request.inputs[0].datatype = "FP99"
    elif what == "short":
        request.raw_input_contents[0] = bytes(15)
    elif what == "negative shape":
        request.inputs[0].shape[:] = [-1, -4]
    elif what == "shape beyond 64 bits":
        request.inputs[0].shape[:] = [1 << 4, (1 << 60) + 2]
    elif what == "twice":
        request.inputs[1].name = "A"
    elif what == "unknown input":
        request.inputs[1].name = "C"
    elif what == "unknown output":
        request.outputs.add(name="NONE")
    elif what == "missing":
        del request.inputs[2], request.raw_input_contents[2]
    return request


@pytest.mark.parametrize("what", ["one content too few", "contents and raw contents", "unknown datatype", "short",
                                  "negative shape", "shape beyond 64 bits", "twice", "unknown input",
                                  "unknown output", "missing"])
def test_bad_questions(stub, what):
    refused(lambda: stub.ModelInfer(change(question(), what)), "INVALID_ARGUMENT")
    assert len(stub.ModelInfer(question()).raw_output_contents) == 2  # the next one is answered


def test_unknown_model_and_limits(stub, server):
    request = question()
    request.model_name = "../sums"
    refused(lambda: stub.ModelInfer(request), "NOT_FOUND")
    request = question()
    request.raw_input_contents[0] = bytes((64 << 20) + 1)
    refused(lambda: stub.ModelInfer(request), "RESOURCE_EXHAUSTED")
    # That may close the connection, so it goes over one of its own.
    alone = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.insecure_channel(f"127.0.0.1:{server.grpc}", options=alone) as channel, pytest.raises(grpc.RpcError):
        service_pb2_grpc.GRPCInferenceServiceStub(channel).ServerReady(
            service_pb2.ServerReadyRequest(), metadata=[("x-long", "x" * (1 << 20))])
    assert stub.ServerReady(service_pb2.ServerReadyRequest()).ready


def test_text_equals_http(client, server):
    http = server.v2("POST", "/v2/models/llama-verse/generate",
                     {"text_input": "The night is", "parameters": {"max_tokens": 12, "temperature": 0}})
    result = client.infer("llama-verse", text_inputs("The night is"), parameters={"max_tokens": 12, "temperature": 0})
    assert result.as_numpy("text_output")[0].decode() == http["text_output"]


def test_streams_come_piece_by_piece(client, server):
    answers = queue.Queue()
    client.start_stream(callback=lambda result, error: answers.put((result, error)))
    client.async_stream_infer("llama-verse", text_inputs("The night is"), request_id="a",
                              parameters={"max_tokens": 12, "temperature": 0})
    client.async_stream_infer("nobody", text_inputs("x"), request_id="b")
    pieces, final, errors = [], False, []
    while not final or not errors:
        result, error = answers.get(timeout=60)
        if error:
            errors.append(error)
            continue
        pieces.append(result.as_numpy("text_output")[0].decode())
        final = result.get_response().parameters["triton_final_response"].bool_param
    client.stop_stream()
    assert len(errors) == 1 and "nobody" in str(errors[0])
    whole = client.infer("llama-verse", text_inputs("The night is"), parameters={"max_tokens": 12, "temperature": 0})
    assert len(pieces) > 3 and "".join(pieces) == whole.as_numpy("text_output")[0].decode()


def test_asyncio_client(server):
    import tritonclient.grpc.aio as aio

    async def ask():
        async with aio.InferenceServerClient(f"127.0.0.1:{server.grpc}") as client:
            asked = [sums_inputs(start=float(i)) for i in range(16)]
            results = await asyncio.gather(*(client.infer("sums", inputs) for _, inputs in asked))
            return [(a, result.as_numpy("SUM")) for (a, _), result in zip(asked, results)]

    for a, answer in asyncio.run(ask()):
        assert np.array_equal(answer, a + 1)


def test_deadlines_and_cancelled_calls(client, stub, server):
    request = service_pb2.ModelInferRequest(model_name="llama-verse")
    request.inputs.add(name="text_input", datatype="BYTES", shape=[1]).contents.bytes_contents.append(b"The")
    request.parameters["max_tokens"].int64_param = 400
    request.parameters["ignore_eos"].bool_param = True
    refused(lambda: stub.ModelInfer(request, timeout=0.02), "DEADLINE_EXCEEDED")
    call = stub.ModelInfer.future(request)
    call.cancel()
    for _ in range(200):
        text = server.ask(server.metrics, "GET", "/metrics")[2].decode()
        if 'vllm:num_requests_running{model_name="llama-verse",engine="0"} 0\n' in text:
            return
    raise AssertionError("a call that was left still runs")


def test_load_and_unload(client):
    client.unload_model("sums")
    assert not client.is_model_ready("sums")
    client.load_model("sums")
    assert client.is_model_ready("sums")
    refused(lambda: client.load_model("nobody"), "")


def test_settings_and_memory_that_is_not_offered(client):
    assert client.get_trace_settings(as_json=True)["settings"]
    assert client.get_log_settings(as_json=True)["settings"]
    assert "--shared-memory-prefix" in refused(lambda: client.get_system_shared_memory_status(), "")
    refused(lambda: client.register_cuda_shared_memory("a", b"eA==", 0, 1), "")


def test_every_call_but_liveness_needs_a_key(tmp_path, sums):
    (tmp_path / "keys").write_text("right-key-of-some-length\n")
    empty = {method.name: method.input_type._concrete_class()
             for method in service_pb2.DESCRIPTOR.services_by_name["GRPCInferenceService"].methods}
    with serving(sums, "--api-key-file", tmp_path / "keys", key="right-key-of-some-length") as server:
        with grpc.insecure_channel(f"127.0.0.1:{server.grpc}") as channel:
            stub = service_pb2_grpc.GRPCInferenceServiceStub(channel)
            assert stub.ServerLive(service_pb2.ServerLiveRequest()).live
            for name, request in empty.items():
                if name == "ServerLive":
                    continue
                for metadata in ([], [("authorization", "Bearer wrong")]):
                    call = getattr(stub, name)
                    answer = (lambda: list(call(iter([request]), metadata=metadata))) if "Stream" in name else (
                        lambda: call(request, metadata=metadata))
                    refused(answer, "UNAUTHENTICATED")
            right = [("authorization", "Bearer right-key-of-some-length")]
            assert stub.ServerReady(service_pb2.ServerReadyRequest(), metadata=right).ready


def test_answers_equal_the_command_line(client):
    made = subprocess.run([PROGRAM, "run", DEMO / "llama-verse", "-p", "The night is", "--max-new-tokens", "12",
                           "--temperature", "0", "--precision", "fp32", "--threads", "1"], capture_output=True, text=True)
    assert made.returncode == 0, made.stderr
    result = client.infer("llama-verse", text_inputs("The night is"), parameters={"max_tokens": 12, "temperature": 0})
    assert result.as_numpy("text_output")[0].decode().strip() in made.stdout
