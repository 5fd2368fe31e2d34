// Dates are true ones: months have their lengths, and February its leap years.
#include "text/grammar/json_formats.h"

#include <map>
#include <string>

namespace tenon::text::grammar {
namespace {

std::map<std::string, std::string, std::less<>> make_patterns() {
  const std::string year = "(000[1-9]|00[1-9][0-9]|0[1-9][0-9]{2}|[1-9][0-9]{3})";
  const std::string fourth = "(0[48]|[2468][048]|[13579][26])";
  const std::string leap = "([0-9]{2}" + fourth + "|" + fourth + "00)";
  const std::string date = "(" + year +
                           "-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|"
                           "(0[469]|11)-(0[1-9]|[12][0-9]|30)|02-(0[1-9]|1[0-9]|2[0-8]))|" +
                           leap + "-02-29)";
  const std::string hours = "([01][0-9]|2[0-3]):[0-5][0-9]";
  const std::string time = hours + ":[0-5][0-9](\\.[0-9]{1,9})?(Z|[+-]" + hours + ")";
  const std::string byte = "(25[0-5]|2[0-4][0-9]|1[0-9]{2}|[1-9]?[0-9])";
  const std::string label = "[A-Za-z0-9]([A-Za-z0-9-]{0,20}[A-Za-z0-9])?";
  const std::string host = label + "(\\." + label + "){0,4}";
  std::string duration = "P([0-9]{1,4}W|";
  duration += "([0-9]{1,4}Y([0-9]{1,4}M([0-9]{1,4}D)?)?|[0-9]{1,4}M([0-9]{1,4}D)?|[0-9]{1,4}D)";
  const std::string clock =
      "T([0-9]{1,4}H([0-9]{1,4}M([0-9]{1,4}S)?)?|[0-9]{1,4}M([0-9]{1,4}S)?|[0-9]{1,4}S)";
  duration += "(" + clock + ")?|" + clock + ")";
  return {
      {"date", date},
      {"time", time},
      {"date-time", date + "T" + time},
      {"duration", duration},
      {"uuid", "[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}"},
      {"email",
       "[A-Za-z0-9_%+-]{1,20}(\\.[A-Za-z0-9_%+-]{1,20}){0,2}@" + label + "(\\." + label + "){1,3}"},
      {"hostname", host},
      {"ipv4", byte + "(\\." + byte + "){3}"},
      {"ipv6", "[0-9a-fA-F]{1,4}(:[0-9a-fA-F]{1,4}){7}"},
      {"uri", "[a-z][a-z0-9+]{0,9}://" + host +
                  "(:[1-9][0-9]{0,3})?(/([A-Za-z0-9_~.-]|%[0-9A-F]{2})*)*(\\?[A-Za-z0-9_~.=&-]*)?"
                  "(#[A-Za-z0-9_~.-]*)?"},
  };
}

}  // namespace

std::string_view format_pattern(std::string_view format) {
  static const auto patterns = make_patterns();
  const auto place = patterns.find(format);
  return place == patterns.end() ? std::string_view() : std::string_view(place->second);
}

}  // namespace tenon::text::grammar
