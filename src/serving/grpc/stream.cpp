#include "serving/grpc/stream.h"

#include "serving/grpc/infer_codec.h"
#include "serving/grpc/status.h"
#include "serving/kserve/execute.h"
#include "serving/status.h"

namespace tenon::serving::grpc {

using Question = inference::ModelInferRequest;
using Answer = inference::ModelStreamInferResponse;
using Reactor = ::grpc::ServerBidiReactor<Question, Answer>;

namespace {
constexpr std::size_t kMostUnderWay = 64;                  // questions of one stream
constexpr std::size_t kMostUnsent = std::size_t{8} << 20;  // bytes before no question is read
}  // namespace

/// Everything that changes is under the mutex; gRPC calls nothing back from within its calls.
class Stream final : public std::enable_shared_from_this<Stream> {
 public:
  Stream(std::shared_ptr<const Gate> gate, const kserve::Context& context, http::Workers& workers,
         std::shared_ptr<Streams> streams, Admission admission)
      : gate_(std::move(gate)),
        context_(context),
        workers_(workers),
        streams_(std::move(streams)),
        admission_(std::move(admission)) {
    admission_.record.streamed = true;
  }

  class Reply;

  void begin(Reactor* reactor) {
    streams_->add(shared_from_this());
    const std::lock_guard lock(mutex_);
    reactor_ = reactor;
    go_on();
  }
  void read(bool ok) {
    std::unique_lock lock(mutex_);
    reading_ = false;
    if (!ok || cancelled_) {
      read_all_ = true;
      return go_on();
    }
    admission_.record.bytes_in += question_.ByteSizeLong();
    const auto question = std::make_shared<Question>(std::move(question_));
    question_ = Question();
    const auto peer = std::make_shared<StreamPeer>(gate_, admission_, weak_from_this());
    peers_.insert(peer);
    go_on();
    lock.unlock();
    ask(question, peer);
  }
  void written(bool ok) {
    const std::lock_guard lock(mutex_);
    writing_ = false;
    unsent_ -= sizes_.front();
    sizes_.pop_front();
    answers_.pop_front();
    if (!ok) answers_.clear(), sizes_.clear(), unsent_ = 0, cancelled_ = true;
    go_on();
  }
  void cancel() {
    std::set<std::shared_ptr<CallPeer>> peers;
    {
      const std::lock_guard lock(mutex_);
      cancelled_ = true;
      peers = peers_;
      go_on();
    }
    for (const auto& peer : peers) peer->lose();
  }
  void retire() {
    const std::lock_guard lock(mutex_);
    retired_ = true;
    go_on();
  }
  std::size_t unsent() const { return unsent_; }

  void send(Answer answer, const std::shared_ptr<CallPeer>& last_of) {
    const std::lock_guard lock(mutex_);
    if (last_of != nullptr) peers_.erase(last_of);
    if (!cancelled_) {
      const std::size_t bytes = answer.ByteSizeLong();
      admission_.record.bytes_out += bytes;
      unsent_ += bytes;
      sizes_.push_back(bytes);
      answers_.push_back(std::move(answer));
    }
    go_on();
  }

 private:
  class StreamPeer final : public CallPeer {
   public:
    StreamPeer(const std::shared_ptr<const Gate>& gate, const Admission& admission,
               std::weak_ptr<Stream> stream)
        : CallPeer(gate, admission), stream_(std::move(stream)) {}
    std::size_t pending() const override {
      const auto stream = stream_.lock();
      return stream == nullptr ? 0 : stream->unsent();
    }

   private:
    std::weak_ptr<Stream> stream_;
  };

  void ask(const std::shared_ptr<Question>& question, const std::shared_ptr<CallPeer>& peer);

  void go_on() {
    if (reactor_ == nullptr) return;
    if (!writing_ && !answers_.empty() && !cancelled_) {
      writing_ = true;
      reactor_->StartWrite(&answers_.front());
    }
    const bool reads = !reading_ && !read_all_ && !retired_ && !cancelled_ &&
                       peers_.size() < kMostUnderWay && unsent_ < kMostUnsent;
    if (reads) {
      reading_ = true;
      reactor_->StartRead(&question_);
    }
    const bool done = answers_.empty() && peers_.empty() && (read_all_ || retired_);
    if (!writing_ && (cancelled_ || done)) end();
  }
  void end() {
    ::grpc::Status status;
    if (cancelled_)
      status = ::grpc::Status::CANCELLED;
    else if (!read_all_)
      status = {::grpc::StatusCode::UNAVAILABLE, "the server ends"};
    admission_.record.status = status.error_code();
    admission_.record.gone = cancelled_;
    admission_.record.seconds = std::chrono::duration<double>(Clock::now() - begin_).count();
    if (gate_->on_access) gate_->on_access(admission_.record);
    std::exchange(reactor_, nullptr)->Finish(status);
  }

  std::shared_ptr<const Gate> gate_;
  kserve::Context context_;
  http::Workers& workers_;
  std::shared_ptr<Streams> streams_;
  Admission admission_;
  std::mutex mutex_;
  Reactor* reactor_ = nullptr;
  Question question_;
  std::deque<Answer> answers_;
  std::deque<std::size_t> sizes_;
  std::atomic<std::size_t> unsent_{0};
  std::set<std::shared_ptr<CallPeer>> peers_;  // of the questions under way
  bool reading_ = false;
  bool writing_ = false;
  bool read_all_ = false;
  bool retired_ = false;
  bool cancelled_ = false;
  Clock::time_point begin_ = Clock::now();
};

class Stream::Reply final : public kserve::InferReply {
 public:
  Reply(std::shared_ptr<Stream> stream, std::shared_ptr<CallPeer> peer, std::string id)
      : stream_(std::move(stream)), call_(std::move(peer)), peer_(call_), id_(std::move(id)) {}
  const std::shared_ptr<Peer>& peer() const override { return peer_; }
  bool streams() const override { return true; }
  void answer(kserve::InferAnswer answer) override {
    Answer message;
    *message.mutable_infer_response() = encoded(answer);
    put(std::move(message), answer.final);
  }
  void failed(const std::exception& error) override {
    Answer message;
    message.set_error_message(message_of(error));
    message.mutable_infer_response()->set_id(id_);
    put(std::move(message), true);
  }

 private:
  void put(Answer message, bool final) {
    (*message.mutable_infer_response()->mutable_parameters())["triton_final_response"]
        .set_bool_param(final);
    if (final) call_->settle();
    stream_->send(std::move(message), final ? call_ : nullptr);
  }
  std::shared_ptr<Stream> stream_;
  std::shared_ptr<CallPeer> call_;
  std::shared_ptr<Peer> peer_;
  std::string id_;
};

void Stream::ask(const std::shared_ptr<Question>& question, const std::shared_ptr<CallPeer>& peer) {
  const auto reply = std::make_shared<Reply>(shared_from_this(), peer, question->id());
  const bool posted = workers_.post([this, question, peer, reply, self = shared_from_this()] {
    try {
      if (peer->gone()) throw Error(ErrorCode::interrupted, "the client has gone");
      const auto held = context_.models->get(question->model_name(), question->model_version());
      kserve::InferRequest request = decoded(*question);
      request.deadline = admission_.deadline;
      kserve::execute(context_, held, std::move(request), reply);
    } catch (const std::exception& error) {
      reply->failed(error);
    }
  });
  if (!posted) reply->failed(Rejected("all workers are busy", std::chrono::seconds(1)));
}

void Streams::add(const std::shared_ptr<Stream>& stream) {
  const std::lock_guard lock(mutex_);
  open_[stream.get()] = stream;
  if (retired_) stream->retire();
}

void Streams::remove(Stream* stream) {
  const std::lock_guard lock(mutex_);
  open_.erase(stream);
}

void Streams::retire() {
  const std::lock_guard lock(mutex_);
  retired_ = true;
  for (const auto& [pointer, weak] : open_) {
    if (const auto stream = weak.lock()) stream->retire();
  }
}

namespace {

class StreamReactor final : public Reactor {
 public:
  StreamReactor(std::shared_ptr<Stream> stream, std::shared_ptr<Streams> streams)
      : stream_(std::move(stream)), streams_(std::move(streams)) {
    stream_->begin(this);
  }
  void OnReadDone(bool ok) override { stream_->read(ok); }
  void OnWriteDone(bool ok) override { stream_->written(ok); }
  void OnCancel() override { stream_->cancel(); }
  void OnDone() override {
    streams_->remove(stream_.get());
    delete this;
  }

 private:
  std::shared_ptr<Stream> stream_;
  std::shared_ptr<Streams> streams_;
};

class Refusal final : public Reactor {
 public:
  explicit Refusal(const ::grpc::Status& status) { Finish(status); }
  void OnDone() override { delete this; }
};

}  // namespace

Reactor* open_stream(std::shared_ptr<const Gate> gate, const kserve::Context& context,
                     http::Workers& workers, std::shared_ptr<Streams> streams,
                     Admission admission) {
  if (!admission.status.ok()) return new Refusal(admission.status);
  auto stream =
      std::make_shared<Stream>(std::move(gate), context, workers, streams, std::move(admission));
  return new StreamReactor(std::move(stream), std::move(streams));
}

}  // namespace tenon::serving::grpc
