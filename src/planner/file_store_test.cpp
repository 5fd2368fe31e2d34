// Constants beyond the memory allowed are in a file that has no name, and read the same.
#include "planner/file_store.h"

#include <cstring>

#include <gmock/gmock.h>
#include <sys/mman.h>

#include "base/error.h"
#include "base/hash.h"

namespace tenon::planner {
namespace {

constexpr std::size_t kBytes = 200'000;  // no multiple of a page

std::vector<std::byte> pattern(std::size_t bytes, unsigned seed) {
  std::vector<std::byte> made(bytes);
  for (std::size_t i = 0; i < bytes; ++i) made[i] = static_cast<std::byte>((i * 7 + seed) % 251);
  return made;
}

std::filesystem::path empty_folder() {
  auto folder = std::filesystem::path(testing::TempDir()) / "file_store";
  std::filesystem::remove_all(folder);
  std::filesystem::create_directories(folder);
  return folder;
}

TEST(FileStore, KeepsInMemoryWhatFitsAndTheRestInAFile) {
  const auto folder = empty_folder();
  std::vector<engine::Constant> constants(4);
  std::vector<std::span<const std::byte>> in_file;
  {
    FileStore store(folder, kBytes + 10);
    for (std::size_t i = 0; i < constants.size(); ++i) {
      const auto bytes = pattern(kBytes, static_cast<unsigned>(i));
      if (i % 2 == 0) {
        store.put(constants[i], bytes);
      } else {
        const auto place = store.place(kBytes);
        std::memcpy(place.get(), bytes.data(), kBytes);
        store.put(constants[i], {place.get(), kBytes});
      }
      EXPECT_EQ(constants[i].sum, xxh3(bytes));
    }
    in_file = store.in_file();
  }
  EXPECT_TRUE(std::filesystem::is_empty(folder));
  ASSERT_EQ(in_file.size(), 3U);
  EXPECT_EQ(in_file[0].data(), constants[1].data.get());
  // Dropped pages come back from the file.
  for (const auto range : in_file)
    ASSERT_EQ(::madvise(const_cast<std::byte*>(range.data()), range.size(), MADV_DONTNEED), 0);
  for (std::size_t i = 0; i < constants.size(); ++i) {
    const auto bytes = pattern(kBytes, static_cast<unsigned>(i));
    EXPECT_EQ(constants[i].bytes, kBytes);
    EXPECT_EQ(std::memcmp(constants[i].data.get(), bytes.data(), kBytes), 0) << i;
  }
}

TEST(FileStore, TakesEmptyAndSmallConstants) {
  FileStore store(empty_folder(), 0);
  engine::Constant none, small;
  store.put(none, {});
  const auto bytes = pattern(12, 0);
  store.put(small, bytes);
  EXPECT_EQ(none.bytes, 0U);
  EXPECT_EQ(std::memcmp(small.data.get(), bytes.data(), bytes.size()), 0);
  EXPECT_TRUE(store.in_file().empty());
}

TEST(FileStore, NamesAFolderThatCannotBeWritten) {
  FileStore store("/nonexistent/folder", 0);
  engine::Constant constant;
  try {
    store.put(constant, pattern(kBytes, 0));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::resource);
    EXPECT_THAT(error.what(), testing::HasSubstr("/nonexistent/folder"));
  }
}

}  // namespace
}  // namespace tenon::planner
