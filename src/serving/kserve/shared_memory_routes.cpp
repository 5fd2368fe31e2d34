// Shared memory: clients register what they lend to the server.
#include "serving/kserve/kserve.h"
#include "serving/shared_memory.h"

namespace tenon::serving::kserve {
namespace {

using Exchange = std::shared_ptr<http::Exchange>;

constexpr const char* kNoCuda =
    "CUDA shared memory is not offered: this server computes on the CPU; use system shared memory";

std::string region_of(const http::Request& request) {
  const auto found = request.parts.find("region");
  return found == request.parts.end() ? std::string() : found->second;
}

std::uint64_t size_of(const Json& body, const char* key, bool required) {
  const Json* field = find_field(body, key);
  if (field == nullptr && !required) return 0;
  if (field == nullptr || !field->is_number_unsigned())
    bad_input("Unable to parse '{}': it is missing or no integer of 0 or more", key);
  return field->get<std::uint64_t>();
}

RegionInfo read_region(const http::Request& request) {
  const Json body = parse_json(request.body, "request");
  if (!body.is_object()) bad_input("request: a JSON object was expected");
  if (find_field(body, "key") == nullptr) bad_input("Shared memory register request has no key");
  return {region_of(request), get_string(body, "key", ""), size_of(body, "offset", false),
          size_of(body, "byte_size", true)};
}

Json written(const std::vector<RegionInfo>& regions) {
  Json list = Json::array();
  for (const RegionInfo& one : regions)
    list.push_back({{"name", one.name},
                    {"key", one.key},
                    {"offset", one.offset},
                    {"byte_size", one.byte_size}});
  return list;
}

}  // namespace

void add_shared_memory_routes(http::Router& router, const Context& context) {
  const auto memory =
      context.shared_memory != nullptr ? context.shared_memory : std::make_shared<SharedMemory>();
  const auto add = [&](const char* method, const std::string& path, http::Handler body) {
    router.add({method, path, guarded(std::move(body)), http::Access::keyed, http::Pace::quick});
  };
  for (const std::string base :
       {"/v2/systemsharedmemory", "/v2/systemsharedmemory/region/{region}"}) {
    add("GET", base + "/status", [memory](const Exchange& exchange) {
      respond_json(*exchange, written(memory->status(region_of(exchange->request()))));
    });
    add("POST", base + "/unregister", [memory](const Exchange& exchange) {
      memory->remove(region_of(exchange->request()));
      exchange->respond({});
    });
  }
  add("POST", "/v2/systemsharedmemory/region/{region}/register",
      [memory](const Exchange& exchange) {
        memory->add(read_region(exchange->request()));
        exchange->respond({});
      });
  // Nothing is registered there: asking for all and taking all away are no mistakes.
  add("GET", "/v2/cudasharedmemory/status",
      [](const Exchange& exchange) { respond_json(*exchange, Json::array()); });
  add("POST", "/v2/cudasharedmemory/unregister",
      [](const Exchange& exchange) { exchange->respond({}); });
  const auto refuse = [](const Exchange&) { bad_input("{}", kNoCuda); };
  add("GET", "/v2/cudasharedmemory/region/{region}/status", refuse);
  add("POST", "/v2/cudasharedmemory/region/{region}/register", refuse);
  add("POST", "/v2/cudasharedmemory/region/{region}/unregister", refuse);
}

}  // namespace tenon::serving::kserve
