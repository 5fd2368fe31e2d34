"""OpenAI's streaming completions over the batching engines of peers that bring no server of their own.

python bench/serving_engines.py openvino|onnxruntime-genai MODEL_DIR --port N --threads 2

One thread runs the engine and adds what has come since its last step; aiohttp answers. It takes a prompt as text or
token ids, greedy choice and max_tokens, and writes on past the end token. Texts are the pieces of the vocabulary as
they are, so the peers pay nothing for decoding.
"""

import argparse
import asyncio
import json
import pathlib
import queue
import threading

import numpy as np
from aiohttp import web
from sentencepiece import SentencePieceProcessor


class OpenVino:
    """ContinuousBatchingPipeline. Prefixes are not cached, as prompts of the measurement share none."""

    def __init__(self, folder, args):
        import openvino
        import openvino_genai

        self.openvino, self.genai = openvino, openvino_genai
        config = openvino_genai.SchedulerConfig()
        config.max_num_seqs = args.sequences
        config.max_num_batched_tokens = args.step_tokens
        config.cache_size = 2
        config.dynamic_split_fuse = True
        config.enable_prefix_caching = False
        self.pipe = openvino_genai.ContinuousBatchingPipeline(
            str(folder), config, "CPU", {"INFERENCE_NUM_THREADS": args.threads,
                                         "INFERENCE_PRECISION_HINT": args.inference_precision,
                                         "PERFORMANCE_HINT": "LATENCY"})
        self.live = {}
        self.last = 0

    def add(self, ids, new_tokens, receiver):
        config = self.genai.GenerationConfig()
        config.max_new_tokens = new_tokens
        config.min_new_tokens = new_tokens
        config.ignore_eos = True
        config.do_sample = False
        self.last += 1
        handle = self.pipe.add_request(self.last, self.openvino.Tensor(np.array([ids], np.int64)), config)
        self.live[self.last] = (handle, receiver)

    def busy(self):
        return bool(self.live)

    def step(self):
        if self.pipe.has_non_finished_requests():
            self.pipe.step()
        for key, (handle, receiver) in list(self.live.items()):
            if handle.can_read():
                for output in handle.read().values():
                    receiver(list(output.generated_ids))
            elif handle.get_status().name != "RUNNING":
                receiver(None)
                del self.live[key]


class OnnxRuntimeGenai:
    def __init__(self, folder, args):
        import onnxruntime_genai

        self.genai = onnxruntime_genai
        config = onnxruntime_genai.Config(str(folder))
        config.overlay(json.dumps({
            "engine": {"static_batching": {"max_batch_size": args.sequences}},
            "search": {"max_length": args.most_tokens},
            "model": {"decoder": {"session_options": {"intra_op_num_threads": args.threads}}}}))
        self.engine = onnxruntime_genai.Engine(onnxruntime_genai.Model(config))
        self.events = self.engine.create_event_buffer(1024)
        self.live = {}

    def add(self, ids, new_tokens, receiver):
        request = self.engine.create_request()
        options = self.genai.TurnOptions(request)
        options.set_max_generated_tokens(new_tokens)
        options.set_min_generated_tokens(new_tokens)
        request.begin_turn(np.array(ids, np.int32), options)
        self.live[id(request)] = (request, receiver)

    def busy(self):
        return bool(self.live)

    def step(self):
        for event in self.engine.run(self.events):
            request, receiver = self.live[id(event.request)]
            flags = event.flags.value
            if flags & self.genai.EngineEventFlags.TOKEN.value:
                receiver([event.token])
            if flags & (self.genai.EngineEventFlags.TURN_FINISHED.value | self.genai.EngineEventFlags.FAILED.value):
                receiver(None)
                del self.live[id(event.request)]
                request.close()


def engine_loop(make, mail, ready):
    engine = make()  # one of them answers to the thread that made it alone
    ready.set()
    while True:
        while not mail.empty() or not engine.busy():
            engine.add(*mail.get())
        engine.step()


class Api:
    def __init__(self, mail, model, vocabulary):
        self.mail, self.model, self.vocabulary = mail, model, vocabulary

    async def models(self, _):
        return web.json_response({"object": "list", "data": [{"id": self.model, "object": "model"}]})

    async def completions(self, request):
        asked = await request.json()
        ids, new_tokens = asked["prompt"], asked["max_tokens"]
        if isinstance(ids, str):
            ids = [self.vocabulary.bos_id(), *self.vocabulary.encode(ids)]
        loop, told = asyncio.get_running_loop(), asyncio.Queue()
        self.mail.put((ids, new_tokens, lambda tokens: loop.call_soon_threadsafe(told.put_nowait, tokens)))
        reply = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await reply.prepare(request)
        count = 0
        while count < new_tokens:
            tokens = await told.get()
            if tokens is None:
                break
            for token in tokens:
                count += 1
                choice = {"index": 0, "text": self.vocabulary.IdToPiece(int(token)), "logprobs": None,
                          "finish_reason": "length" if count == new_tokens else None}
                await reply.write(self.event({"choices": [choice]}))
        usage = {"prompt_tokens": len(ids), "completion_tokens": count, "total_tokens": len(ids) + count}
        await reply.write(self.event({"choices": [], "usage": usage}) + b"data: [DONE]\n\n")
        await reply.write_eof()
        return reply

    def event(self, fields):
        return b"data: " + json.dumps(
            {"id": "cmpl", "object": "text_completion", "created": 0, "model": self.model, **fields}).encode() + b"\n\n"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("engine", choices=["openvino", "onnxruntime-genai"])
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--tokenizer", type=pathlib.Path, required=True, help="SentencePiece tokenizer.model")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--most-tokens", type=int, default=272, help="of a sequence, for onnxruntime-genai")
    parser.add_argument("--step-tokens", type=int, default=512)
    parser.add_argument("--inference-precision", default="bf16")
    args = parser.parse_args()
    made = {"openvino": OpenVino, "onnxruntime-genai": OnnxRuntimeGenai}[args.engine]
    mail, ready = queue.Queue(), threading.Event()
    threading.Thread(target=engine_loop, args=(lambda: made(args.folder, args), mail, ready), daemon=True).start()
    ready.wait()
    api = Api(mail, args.folder.name, SentencePieceProcessor(str(args.tokenizer)))
    app = web.Application(client_max_size=1 << 24)
    app.add_routes([web.get("/v1/models", api.models), web.post("/v1/completions", api.completions)])
    web.run_app(app, host="127.0.0.1", port=args.port, print=None, access_log=None)


if __name__ == "__main__":
    main()
