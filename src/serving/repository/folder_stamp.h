// Tells whether the files of a folder have changed.
#pragma once

#include <filesystem>
#include <string>

namespace tenon::serving {

/// Of all files at and below the path: names, sizes, times of change and inodes, as one short text.
/// Of a path that is not there: empty. Error(bad_input) beyond 100,000 files or 32 levels.
std::string folder_stamp(const std::filesystem::path& path);

/// Seconds since the newest change below the path; a large number when there is none.
double seconds_since_change(const std::filesystem::path& path);

}  // namespace tenon::serving
