#include "serving/shared_memory.h"

#include <array>
#include <atomic>
#include <functional>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/mman.h>
#include <unistd.h>

namespace tenon::serving {
namespace {

using testing::HasSubstr;

/// An object of shared memory that goes with the test.
class Object {
 public:
  Object(std::string key, std::size_t size) : key_(std::move(key)) {
    number_ = ::shm_open(key_.c_str(), O_RDWR | O_CREAT | O_EXCL, 0600);
    if (number_ < 0) throw std::runtime_error("shm_open");
    resize(size);
  }
  ~Object() {
    ::close(number_);
    ::shm_unlink(key_.c_str());
  }
  void resize(std::size_t size) {
    if (::ftruncate(number_, static_cast<off_t>(size)) != 0) throw std::runtime_error("ftruncate");
  }
  int get() const { return number_; }

 private:
  std::string key_;
  int number_;
};

class SharedMemoryTest : public testing::Test {
 protected:
  std::string key(const char* name) const { return prefix_ + name; }
  template <typename Body>
  static std::string message_of(Body body) {
    try {
      body();
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  }

  std::string prefix_ = "/tenon-test-" + std::to_string(::getpid()) + "-";
  SharedMemory memory_{prefix_};
};

TEST_F(SharedMemoryTest, ReadsAndWritesWithinTheRegion) {
  const Object object(key("a"), 64);
  memory_.add({"a", key("a"), 16, 32});
  const auto region = memory_.find("a");
  const std::array<std::byte, 4> four{std::byte{1}, std::byte{2}, std::byte{3}, std::byte{4}};
  region->write(28, four);
  std::array<std::byte, 4> seen{};
  ASSERT_EQ(::pread(object.get(), seen.data(), 4, 16 + 28), 4);
  EXPECT_EQ(seen, four);
  seen = {};
  region->read(28, seen);
  EXPECT_EQ(seen, four);
  EXPECT_THAT(message_of([&] { region->read(29, seen); }), HasSubstr("Invalid offset + byte size"));
  EXPECT_THAT(message_of([&] { region->read(32, seen); }), HasSubstr("Invalid offset for shared"));
  EXPECT_THAT(message_of([&] { region->write(~std::uint64_t{0} - 1, four); }),
              HasSubstr("Invalid offset for shared"));
  EXPECT_THAT(message_of([&] { region->check(1, ~std::uint64_t{0}); }),
              HasSubstr("Invalid offset + byte size"));
}

TEST_F(SharedMemoryTest, RefusesWhatIsNoRegion) {
  const Object object(key("a"), 64);
  const auto refused = [&](std::uint64_t offset, std::uint64_t size) {
    return message_of([&] { memory_.add({"a", key("a"), offset, size}); });
  };
  for (const auto& [offset, size] :
       std::vector<std::pair<std::uint64_t, std::uint64_t>>{{0, 65},
                                                            {1, 64},
                                                            {64, 1},
                                                            {0, 0},
                                                            {~std::uint64_t{0}, 2},
                                                            {2, ~std::uint64_t{0}},
                                                            {1ULL << 63, 1ULL << 63}}) {
    EXPECT_THAT(refused(offset, size), HasSubstr("invalid args")) << offset << " " << size;
  }
  for (const std::string& other :
       {std::string("/other"), prefix_ + "/../x", prefix_ + "a/b", prefix_ + std::string("\0", 1),
        prefix_ + std::string(300, 'a'), std::string(), "/../dev/shm" + prefix_}) {
    EXPECT_THAT(message_of([&] {
                  memory_.add({"a", other, 0, 1});
                }),
                HasSubstr("not within what this server takes"));
  }
  EXPECT_THAT(message_of([&] {
                memory_.add({"a", key("missing"), 0, 1});
              }),
              HasSubstr("Unable to open"));
  EXPECT_THAT(message_of([&] { memory_.add({"", key("a"), 0, 1}); }), HasSubstr("the name"));
  EXPECT_TRUE(memory_.status("").empty());
}

TEST_F(SharedMemoryTest, FollowsNoLinks) {
  const Object object(key("a"), 64);
  const std::string link = "/dev/shm" + key("link");
  ASSERT_EQ(::symlink(("/dev/shm" + key("a")).c_str(), link.c_str()), 0);
  EXPECT_THAT(message_of([&] {
                memory_.add({"a", key("link"), 0, 1});
              }),
              HasSubstr("Unable to open"));
  ::unlink(link.c_str());
}

TEST_F(SharedMemoryTest, KeepsNamesApart) {
  const Object object(key("a"), 64);
  memory_.add({"a", key("a"), 0, 8});
  memory_.add({"b", key("a"), 8, 8});
  EXPECT_EQ(message_of([&] {
              memory_.add({"a", key("a"), 0, 8});
            }),
            "shared memory region 'a' already in manager");
  EXPECT_THROW(memory_.add({"a", key("a"), 0, 8}), RegionExists);
  EXPECT_EQ(memory_.status("").size(), 2U);
  EXPECT_EQ(memory_.status("b").front().offset, 8U);
  EXPECT_THROW((void)memory_.status("c"), UnknownRegion);
  memory_.remove("c");
  memory_.remove("a");
  EXPECT_THROW((void)memory_.find("a"), UnknownRegion);
  memory_.remove("");
  EXPECT_TRUE(memory_.status("").empty());
}

TEST_F(SharedMemoryTest, SurvivesAnObjectThatIsCutOff) {
  Object object(key("a"), 1 << 16);
  memory_.add({"a", key("a"), 0, 1 << 16});
  const auto region = memory_.find("a");
  std::vector<std::byte> bytes(1 << 16);
  object.resize(100);
  EXPECT_THAT(message_of([&] { region->read(0, bytes); }), HasSubstr("65436 bytes short"));
  EXPECT_THAT(message_of([&] { region->write(0, bytes); }), HasSubstr("65436 bytes short"));
  object.resize(1 << 16);
  region->read(0, bytes);
  // Cut off and grown again and again while it is read: an Error or the bytes, never a signal.
  std::atomic<bool> done{false};
  std::thread cutter([&] {
    while (!done) {
      object.resize(0);
      object.resize(1 << 16);
    }
  });
  for (int i = 0; i < 500; ++i) {
    try {
      region->read(0, bytes);
    } catch (const Error&) {
    }
  }
  done = true;
  cutter.join();
}

TEST_F(SharedMemoryTest, KeepsWhatIsInUse) {
  const Object object(key("a"), 8);
  memory_.add({"a", key("a"), 0, 8});
  const auto region = memory_.find("a");
  memory_.remove("a");
  std::array<std::byte, 8> bytes{};
  region->read(0, bytes);
}

TEST_F(SharedMemoryTest, HasAnEnd) {
  const Object object(key("a"), 8);
  for (std::size_t i = 0; i < SharedMemory::kMostRegions; ++i)
    memory_.add({std::to_string(i), key("a"), 0, 8});
  EXPECT_THAT(message_of([&] {
                memory_.add({"one more", key("a"), 0, 8});
              }),
              HasSubstr("no more are possible"));
}

TEST(SharedMemory, IsOffUnlessAsked) {
  SharedMemory memory;
  EXPECT_FALSE(memory.offered());
  for (const auto& body : std::vector<std::function<void()>>{[&] {
                                                               memory.add({"a", "/a", 0, 1});
                                                             },
                                                             [&] { (void)memory.status(""); },
                                                             [&] { memory.remove(""); },
                                                             [&] { (void)memory.find("a"); }}) {
    try {
      body();
      FAIL();
    } catch (const Error& error) {
      EXPECT_THAT(error.what(), HasSubstr("--shared-memory-prefix"));
    }
  }
  for (const char* prefix : {"/", "x", "/a/b", "/..", "/.", "/a b", "//"})
    EXPECT_THROW(SharedMemory{prefix}, Error) << prefix;
}

}  // namespace
}  // namespace tenon::serving
