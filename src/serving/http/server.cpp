#include "serving/http/server.h"

#include <thread>

#include "base/log.h"
#include "serving/http/connection.h"

namespace tenon::serving::http {
namespace {

using Tcp = net::ip::tcp;
using Plain = beast::tcp_stream;
using Secure = beast::ssl_stream<beast::tcp_stream>;

std::unique_ptr<net::ssl::context> tls_of(const Options& options) {
  if (options.certificate.empty()) return nullptr;
  auto context = std::make_unique<net::ssl::context>(net::ssl::context::tls_server);
  BoostError error;
  context->set_options(net::ssl::context::default_workarounds | net::ssl::context::no_tlsv1 |
                       net::ssl::context::no_tlsv1_1);
  context->use_certificate_chain_file(options.certificate.string(), error);
  if (error)
    bad_input("{}: is no PEM certificate: {}", options.certificate.string(), error.message());
  context->use_private_key_file(options.private_key.string(), net::ssl::context::pem, error);
  if (error)
    bad_input("{}: is no key of the certificate: {}", options.private_key.string(),
              error.message());
  return context;
}

}  // namespace

std::string request_id(std::string_view given) {
  const bool plain = !given.empty() && given.size() <= 128 &&
                     std::all_of(given.begin(), given.end(), [](unsigned char c) {
                       return std::isalnum(c) != 0 || c == '-' || c == '_' || c == '.' || c == ':';
                     });
  if (plain) return std::string(given);
  thread_local std::mt19937_64 random{std::random_device{}()};
  return fmt::format("{:016x}", random());
}

void dispatch(const Handler& handler, const std::shared_ptr<Exchange>& exchange,
              const Endpoint& endpoint) {
  const auto answer = [&](int status, const std::string& message) {
    exchange->respond({status,
                       endpoint.error_body(status, message, exchange->request().path),
                       "application/json",
                       {}});
  };
  try {
    handler(exchange);
  } catch (const Error& error) {
    answer(500, error.what());
  } catch (const std::bad_alloc&) {
    answer(503, "memory ran out");
  } catch (const std::exception& error) {
    log::warn("request {}: {}", exchange->request().id, error.what());
    answer(500, "internal error");
  }
}

bool unpacked(Turn& turn, Encoding encoding, const Endpoint& endpoint) {
  const auto answer = [&](int status, const char* message) {
    turn.respond({status,
                  endpoint.error_body(status, message, turn.request().path),
                  "application/json",
                  {}});
    return false;
  };
  switch (turn.unpack(encoding)) {
    case Inflated::End::whole:
      return true;
    case Inflated::End::too_long:
      return answer(413, "the body unpacks to more than the server takes");
    case Inflated::End::malformed:
      return answer(400, "the body is not what its Content-Encoding says");
    case Inflated::End::no_memory:
      break;
  }
  return answer(503, "too much is being sent: try again");
}

// A browser then asks its user, who gives the key as password.
const char* challenge(const Request& request) {
  const bool page = request.method == "GET" &&
                    request.header("accept").find("text/html") != std::string_view::npos;
  return page ? "Basic realm=\"tenon\"" : "Bearer";
}

std::string_view status_text(int status) {
  return std::string_view(
      beast::http::obsolete_reason(static_cast<beast::http::status>(status)).data(),
      beast::http::obsolete_reason(static_cast<beast::http::status>(status)).size());
}

struct Server::Core : std::enable_shared_from_this<Server::Core> {
  explicit Core(Options options)
      : tls(tls_of(options)), shared(std::make_shared<Shared>(std::move(options))) {}

  void accept(const std::shared_ptr<Tcp::acceptor>& acceptor,
              const std::shared_ptr<const Endpoint>& endpoint) {
    acceptor->async_accept(
        net::make_strand(io), [this, acceptor, endpoint](BoostError error, Tcp::socket socket) {
          if (error == net::error::operation_aborted || !acceptor->is_open()) return;
          if (error) return accept_later(acceptor, endpoint);  // no descriptors left, mostly
          if (count() < shared->options.limits.connections) begin(std::move(socket), endpoint);
          accept(acceptor, endpoint);
        });
  }
  void accept_later(const std::shared_ptr<Tcp::acceptor>& acceptor,
                    const std::shared_ptr<const Endpoint>& endpoint) {
    const auto timer = std::make_shared<net::steady_timer>(io, std::chrono::milliseconds(50));
    timer->async_wait(
        [this, timer, acceptor, endpoint](BoostError) { accept(acceptor, endpoint); });
  }

  void begin(Tcp::socket socket, const std::shared_ptr<const Endpoint>& endpoint) {
    BoostError ignored;
    socket.set_option(Tcp::no_delay(true), ignored);
    const auto remote = socket.remote_endpoint(ignored);
    const std::string peer = ignored ? std::string() : remote.address().to_string();
    if (tls != nullptr) {
      std::make_shared<Connection<Secure>>(shared, endpoint, peer, std::move(socket), *tls)->run();
    } else {
      std::make_shared<Connection<Plain>>(shared, endpoint, peer, std::move(socket))->run();
    }
  }

  std::size_t count() const {
    const std::lock_guard lock(shared->mutex);
    return shared->connections.size();
  }
  template <typename Body>
  void each(Body body) {
    const std::lock_guard lock(shared->mutex);
    for (Managed* one : shared->connections) body(*one);
  }
  void close_doors() {
    for (const auto& acceptor : acceptors) {
      net::post(acceptor->get_executor(), [acceptor] {
        BoostError ignored;
        acceptor->close(ignored);
      });
    }
    acceptors.clear();
  }

  std::unique_ptr<net::ssl::context> tls;
  std::shared_ptr<Shared> shared;
  net::io_context io;
  std::optional<net::executor_work_guard<net::io_context::executor_type>> guard;
  std::vector<std::shared_ptr<Tcp::acceptor>> acceptors;
  std::vector<std::thread> threads;
  std::unique_ptr<Workers> workers;
};

Server::Server(Options options) : core_(std::make_shared<Core>(std::move(options))) {
  const Options& given = core_->shared->options;
  core_->guard.emplace(core_->io.get_executor());
  core_->workers = std::make_unique<Workers>(given.workers, given.limits.queue);
  core_->shared->workers = core_->workers.get();
  for (std::size_t i = 0; i < given.io_threads; ++i) {
    core_->threads.emplace_back([this] { core_->io.run(); });
  }
}

Server::~Server() {
  drain(std::chrono::milliseconds(0));
  core_->workers.reset();
  core_->guard.reset();
  core_->io.stop();
  for (auto& thread : core_->threads) thread.join();
}

std::uint16_t Server::listen(Endpoint endpoint) {
  const std::string place = fmt::format("{}:{}", endpoint.host, endpoint.port);
  BoostError error;
  const auto address = net::ip::make_address(endpoint.host, error);
  if (error)
    fail(ErrorCode::usage,
         "{} is no address: give one like 127.0.0.1, 0.0.0.0 or ::", endpoint.host);
  const auto acceptor = std::make_shared<Tcp::acceptor>(net::make_strand(core_->io));
  const Tcp::endpoint wanted(address, endpoint.port);
  acceptor->open(wanted.protocol(), error);
  if (!error) acceptor->set_option(net::socket_base::reuse_address(true), error);
  if (!error) acceptor->bind(wanted, error);
  if (!error) acceptor->listen(net::socket_base::max_listen_connections, error);
  if (error) {
    throw Error(ErrorCode::resource, fmt::format("cannot listen at {}: {}", place, error.message()))
        .hint("choose another port");
  }
  const std::uint16_t port = acceptor->local_endpoint().port();
  core_->acceptors.push_back(acceptor);
  core_->accept(acceptor, std::make_shared<const Endpoint>(std::move(endpoint)));
  return port;
}

std::size_t Server::drain(std::chrono::milliseconds patience) {
  core_->shared->draining = true;
  core_->close_doors();
  const auto end = std::chrono::steady_clock::now() + patience;
  core_->each([](Managed& one) { one.retire(); });
  while (core_->count() > 0 && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  const std::size_t left = core_->count();
  core_->each([](Managed& one) { one.abort(); });
  return left;
}

std::size_t Server::connections() const { return core_->count(); }

}  // namespace tenon::serving::http
