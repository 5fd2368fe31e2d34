// The formats of JSON Schema as regular expressions.
#pragma once

#include <string_view>

namespace tenon::text::grammar {

/// A pattern that only valid texts of the format match as a whole; empty for an unknown format.
/// Some valid texts are left out: hosts of one label in e-mail, short forms of IPv6, leap seconds.
std::string_view format_pattern(std::string_view format);
/// The known names, for messages.
inline constexpr std::string_view kFormatNames =
    "date, time, date-time, duration, uuid, email, hostname, ipv4, ipv6, uri";

}  // namespace tenon::text::grammar
