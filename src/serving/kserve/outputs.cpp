#include "serving/kserve/outputs.h"

#include <algorithm>

#include "base/error.h"

namespace tenon::serving::kserve {
namespace {

std::shared_ptr<const SharedRegion> region_of(const RegionPlace& place,
                                              const SharedMemory* memory) {
  if (memory == nullptr)
    throw UnknownRegion(
        fmt::format("Unable to find shared memory region: '{}'", place.region.substr(0, 128)));
  auto region = memory->find(place.region);
  region->check(place.offset, place.size);
  return region;
}

// What one request may bring in through shared memory: a region may be larger than all memory.
constexpr std::uint64_t kMostBytes = std::uint64_t{1} << 30;

// Without a look at the bytes: what the shape needs, for types of one size.
void check_size(const InferTensor& tensor) {
  if (tensor.datatype == "BYTES") return;
  const auto wanted = static_cast<std::uint64_t>(element_count(tensor.shape)) *
                      dtype_size(dtype_of(tensor.datatype, tensor.name));
  if (wanted != tensor.place->size)
    bad_input("input '{}': shared_memory_byte_size is {}, its shape {} needs {}", tensor.name,
              tensor.place->size, to_string(tensor.shape), wanted);
}

}  // namespace

void read_places(InferRequest& request, const SharedMemory* memory) {
  std::uint64_t total = 0;
  for (InferTensor& input : request.inputs) {
    if (!input.place) continue;
    check_size(input);
    if (input.place->size > kMostBytes - total)
      bad_input("the inputs in shared memory have more than {} bytes", kMostBytes);
    total += input.place->size;
    const auto region = region_of(*input.place, memory);
    std::string bytes(input.place->size, '\0');
    region->read(input.place->offset, std::as_writable_bytes(std::span(bytes)));
    input = tensor_of_bytes(input.name, input.datatype, std::move(input.shape), bytes);
  }
}

void check_places(const std::vector<WantedOutput>& outputs, const SharedMemory* memory) {
  for (const WantedOutput& wanted : outputs) {
    if (wanted.place) region_of(*wanted.place, memory);
  }
}

std::vector<InferTensor> chosen(std::vector<InferTensor> outputs,
                                const std::vector<WantedOutput>& wanted, const SharedMemory* memory,
                                const std::string& model) {
  if (wanted.empty()) return outputs;
  std::vector<InferTensor> made;
  for (const WantedOutput& one : wanted) {
    const auto found = std::find_if(outputs.begin(), outputs.end(),
                                    [&](const auto& output) { return output.name == one.name; });
    if (found == outputs.end())
      bad_input("unexpected inference output '{}' for model '{}'", one.name, model);
    // Names are unique in a request, so that each output can be moved out.
    InferTensor output = one.classes > 0 ? classified(*found, one.classes) : std::move(*found);
    if (one.place) {
      const std::string bytes = bytes_of(output);
      if (bytes.size() > one.place->size)
        bad_input(
            "shared memory size specified with the request for output '{}' ({} bytes) should "
            "be at least {} bytes to hold the results",
            one.name, one.place->size, bytes.size());
      region_of(*one.place, memory)->write(one.place->offset, std::as_bytes(std::span(bytes)));
      output.data = Strings();
      output.place = RegionPlace{one.place->region, one.place->offset, bytes.size()};
    }
    made.push_back(std::move(output));
  }
  return made;
}

}  // namespace tenon::serving::kserve
