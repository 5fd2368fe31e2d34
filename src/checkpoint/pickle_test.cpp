#include "checkpoint/pickle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/pickle_bytes.h"
#include "checkpoint/state_dict.h"

namespace tenon::checkpoint {
namespace {

using ::testing::AllOf;
using namespace std::string_literals;
using testing::bytes_of;
using ::testing::HasSubstr;
using testing::pickle_global;
using testing::pickle_integer;
using testing::pickle_tensor;
using testing::pickle_text;
using testing::pickle_tuple;
using testing::refusal;
using Kind = PickleValue::Kind;

// The body between the protocol and STOP.
std::string pickle(const std::string& body) { return "\x80\x02"s + body + "."; }
Pickle read(const std::string& bytes) { return read_pickle(std::as_bytes(std::span(bytes))); }
std::string refused(const std::string& body) {
  return refusal([&] { read(pickle(body)); });
}
std::string repeated(const std::string& text, std::size_t count) {
  std::string all;
  for (std::size_t i = 0; i < count; ++i) all += text;
  return all;
}

TEST(Pickle, ReadsPlainValues) {
  const std::string bytes = pickle("]"s + pickle_text("q") + "a" + pickle_integer(-5) + "a" +
                                   "K\x07"
                                   "aM\x01\x02"
                                   "aJ" +
                                   bytes_of(std::int32_t{-9}) +
                                   "aNa\x88"
                                   "a\x8a\x01\xff"
                                   "aG" +
                                   bytes_of(1.0) + "a)a}a");
  const Pickle read_back = read(bytes);
  const auto& items = read_back.root().items;
  ASSERT_EQ(items.size(), 11U);
  EXPECT_EQ(items[0]->text, "q");
  EXPECT_EQ(items[1]->integer, -5);
  EXPECT_EQ(items[2]->integer, 7);
  EXPECT_EQ(items[3]->integer, 0x201);
  EXPECT_EQ(items[4]->integer, -9);
  EXPECT_EQ(items[5]->kind, Kind::none);
  EXPECT_EQ(items[6]->kind, Kind::boolean);
  EXPECT_EQ(items[7]->integer, -1);
  EXPECT_EQ(items[8]->kind, Kind::real);
  EXPECT_EQ(read_back.size(), bytes.size());
}

TEST(Pickle, SaysHowLongItIs) {
  const std::string bytes = pickle("N") + pickle("K\x01");
  EXPECT_EQ(read(bytes).size(), pickle("N").size());
}

// Codes that a file would run at load elsewhere; none is looked up here, only refused.
TEST(Pickle, RefusesEveryOtherNameByName) {
  EXPECT_THAT(refused(pickle_global("posix", "system") + pickle_text("id") + "\x85R"),
              AllOf(HasSubstr("the pickle wants 'posix.system': it is not run")));
  for (const auto& [module, name] : std::vector<std::pair<std::string, std::string>>{
           {"os", "system"},
           {"builtins", "getattr"},
           {"builtins", "eval"},
           {"__builtin__", "exec"},
           {"subprocess", "Popen"},
           {"torch.storage", "_load_from_bytes"},
           {"torch.hub", "load"},
           {"torch", "load"},
           {"torch._utils", "_rebuild_tensor_v2.__globals__"},
           {"torch._utils._rebuild_tensor_v2", "__class__"},
           {"torch", "_utils._rebuild_tensor_v2"},
           {"collections", "OrderedDict.__reduce__"},
           {"collections", "namedtuple"},
           {"", "torch.Size"},
           {"numpy", "load"},
           {"runpy", "_run_code"},
           {"pip", "main"},
           {"webbrowser", "open"},
           {"functools", "partial"},
           {"operator", "attrgetter"}}) {
    EXPECT_THAT(refused(pickle_global(module, name)),
                HasSubstr("'"s + module + "." + name + "': it is not run"));
    EXPECT_THAT(refused(pickle_text(module) + pickle_text(name) + "\x93"),
                HasSubstr("it is not run"));
  }
}

TEST(Pickle, AStackGlobalTakesTextsOnly) {
  EXPECT_THAT(refused(pickle_integer(1) + pickle_text("x") + "\x93"), HasSubstr("finds a int"));
}

TEST(Pickle, CallsOnlyNamesAndOnlyWithTuples) {
  EXPECT_THAT(refused("K\x01)R"), HasSubstr("a name was expected"));
  EXPECT_THAT(refused(pickle_global("torch", "Size") + "]R"), HasSubstr("a tuple was expected"));
  EXPECT_THAT(refused(pickle_global("torch", "FloatStorage") + ")R"), HasSubstr("never called"));
  EXPECT_THAT(refused(pickle_global("torch", "Size") + ")R"), HasSubstr("no tuple"));
  EXPECT_THAT(refused(pickle_global("torch._utils", "_rebuild_parameter") + "K\x01\x85R"),
              HasSubstr("no tensor"));
}

TEST(Pickle, RefusesOpcodesByName) {
  for (const auto& [body, name] :
       std::vector<std::pair<std::string, std::string>>{{"I1\n", "INT"},
                                                        {"ios\nsystem\n", "INST"},
                                                        {"(o", "OBJ"},
                                                        {")\x81", "NEWOBJ"},
                                                        {"\x82\x01", "EXT1"},
                                                        {"P0\n", "PERSID"},
                                                        {"\x8f", "EMPTY_SET"},
                                                        {"Vx\n", "UNICODE"},
                                                        {"S'x'\n", "STRING"},
                                                        {"N2", "DUP"}}) {
    EXPECT_THAT(refused(body), HasSubstr("opcode "s + name + " is not run")) << name;
  }
  EXPECT_THAT(refused("\xff"), HasSubstr("0xff is no opcode"));
}

TEST(Pickle, RefusesOtherProtocols) {
  EXPECT_THAT(refusal([] { read(""); }), HasSubstr("no pickle"));
  EXPECT_THAT(refusal([] { read("(lp0\n."); }), HasSubstr("no pickle"));
  EXPECT_THAT(refusal([] { read("\x80\x06N."); }), HasSubstr("protocol 6"));
}

TEST(Pickle, RefusesStacksThatAreEmpty) {
  for (const char* body : {"0", "t", "1", "a", "s", "u", "e", "b", "R", "q\x01", "\x85", "\x87",
                           "Q", "(", "(a", "(s", "(\x94", "(b"}) {
    EXPECT_NE(refused(body), "") << body;
  }
  EXPECT_THAT(refused("](K\x01"), HasSubstr(""));
  EXPECT_THAT(refused("h\x05"), HasSubstr("recalls value 5"));
  EXPECT_THAT(refused("Na"), HasSubstr("takes a value"));
  EXPECT_THAT(refused("NNa"), HasSubstr("finds a None where a list"));
  EXPECT_THAT(refused("}(Nu"), HasSubstr("a key without a value"));
  EXPECT_THAT(refused("K\x01Nb"), HasSubstr("has none"));
}

TEST(Pickle, BoundsStackMemoAndValues) {
  EXPECT_THAT(refused(repeated("(", std::size_t{1} << 21)), HasSubstr("stacks more than"));
  EXPECT_THAT(refused(repeated("N0", std::size_t{1} << 21)), HasSubstr("makes more than"));
  EXPECT_THAT(refused("Nr"s + bytes_of(std::uint32_t{0xffffffff})), HasSubstr("remembers value"));
  EXPECT_THAT(refused("Nq\x01("s + repeated("h\x01", 100'000) + "tq\x02" +
                      repeated("0("s + repeated("h\x01", 100'000) + "t", 25)),
              HasSubstr("holds more than"));
}

TEST(Pickle, LengthsBeyondTheEndAreRefused) {
  EXPECT_THAT(refused("X"s + bytes_of(std::uint32_t{0xffffffff})), HasSubstr("ends after"));
  EXPECT_THAT(refused("\x8d"s + bytes_of(~std::uint64_t{0})), HasSubstr("ends after"));
  EXPECT_THAT(refused("\x8a\xff"), HasSubstr("ends after"));
  EXPECT_THAT(refused("\x95"s + bytes_of(~std::uint64_t{0})), HasSubstr("frame is cut short"));
  EXPECT_THAT(refused("cos"s + std::string(1000, 'x') + "\n"), HasSubstr("no end within 256"));
}

// Each level doubles: 2^60 leaves, but only 60 tuples, and no step walks them.
TEST(Pickle, ABillionLaughsStaySmall) {
  std::string body = "Nq"s + std::string(1, '\0');
  for (char i = 0; i < 60; ++i) {
    body += std::string("h") + i + "h" + i + "\x86q" + static_cast<char>(i + 1);
  }
  EXPECT_EQ(refused(body), "");
  EXPECT_THAT(refusal([&] {
                const Pickle laughs = read(pickle(body));
                find_state_dict(laughs.root());
              }),
              HasSubstr("holds a tuple"));
}

TEST(Pickle, RefusesPersistentIdsOfAnotherForm) {
  const std::string storage = pickle_text("storage");
  const std::string type = pickle_global("torch", "FloatStorage");
  const std::string rest = pickle_text("0") + pickle_text("cpu") + pickle_integer(1);
  EXPECT_EQ(refused("("s + storage + type + rest + "tQ"), "");
  EXPECT_EQ(refused("("s + storage + type + rest + "NtQ"), "");
  EXPECT_THAT(refused("("s + storage + type + rest + ")tQ"), HasSubstr("view of another"));
  for (const std::string& id :
       {pickle_text("storage"), "("s + storage + type + "t", "("s + storage + rest + "Nt",
        "("s + pickle_text("module") + type + rest + "t",
        "("s + storage + pickle_global("torch", "Size") + rest + "t",
        "("s + storage + type + pickle_text("0") + pickle_text("cpu") + pickle_integer(-1) + "t"}) {
    EXPECT_THAT(refused(id + "Q"), HasSubstr("persistent id"));
  }
}

TEST(Pickle, RefusesTensorsOfWrongArguments) {
  const std::string rebuild = pickle_global("torch._utils", "_rebuild_tensor_v2");
  EXPECT_THAT(refused(rebuild + ")R"), HasSubstr("has 0 arguments"));
  EXPECT_THAT(refused(rebuild + "(NNNNNNtR"), HasSubstr("argument 0 is a None"));
  const std::string good = pickle_tensor(1, 0, {1}, {1});
  EXPECT_EQ(refused(good), "");
}

// State dicts

TEST(StateDict, DescendsWhereOneCanBeMeant) {
  const std::string tensor = pickle_tensor(1, 0, {1}, {1});
  const auto names = [&](const std::string& body) {
    const std::string bytes = pickle(body);
    const Pickle read_back = read(bytes);
    std::vector<std::string> found;
    for (const auto& [name, value] : find_state_dict(read_back.root())) found.push_back(name);
    return found;
  };
  const auto dict = [](const std::string& key, const std::string& value) {
    return "}"s + pickle_text(key) + value + "s";
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(names(dict("w", tensor)), (Names{"w"}));
  EXPECT_EQ(names(dict("anything", dict("w", tensor))), (Names{"w"}));
  EXPECT_EQ(names(dict("a", dict("b", dict("w", tensor)))), (Names{"w"}));
  EXPECT_EQ(
      names("}"s + pickle_text("w") + tensor + "s" + pickle_text("sub") + dict("v", tensor) + "s"),
      (Names{"w", "sub.v"}));
  EXPECT_EQ(names("}"s + pickle_text("model_ema") + dict("v", tensor) + "s" + pickle_text("model") +
                  dict("w", tensor) + "s"),
            (Names{"w"}));
  EXPECT_THAT(refusal([&] {
                names("}"s + pickle_text("one") + dict("v", tensor) + "s" + pickle_text("two") +
                      dict("w", tensor) + "s");
              }),
              HasSubstr("2 dicts that could be the weights ('one', 'two')"));
  EXPECT_THAT(refusal([&] { names(dict("epoch", "K\x01")); }), HasSubstr("holds no tensors"));
  EXPECT_THAT(refusal([&] { names(tensor); }), HasSubstr("holds a tensor"));
}

TEST(StateDict, CyclesAndSharedDictsEnd) {
  // A dict that holds a tensor and, under "self", itself.
  const std::string cycle = "}q\x01"s + pickle_text("w") + pickle_tensor(1, 0, {1}, {1}) + "s" +
                            pickle_text("self") + "h\x01s";
  EXPECT_THAT(refusal([&] {
                const std::string bytes = pickle(cycle);
                const Pickle made = read(bytes);
                find_state_dict(made.root());
              }),
              HasSubstr("deeper than 16"));
  // Each of 14 levels holds the level below 8 times.
  std::string body =
      "}"s + pickle_text("w") + pickle_tensor(1, 0, {1}, {1}) + "sq" + std::string(1, '\0');
  for (char level = 0; level < 14; ++level) {
    body += "}"s + pickle_text("t") + pickle_tensor(1, 0, {1}, {1}) + "s";
    for (int i = 0; i < 8; ++i) body += pickle_text(std::to_string(i)) + "h" + level + "s";
    body += std::string("q") + static_cast<char>(level + 1);
  }
  EXPECT_THAT(refusal([&] {
                const std::string bytes = pickle(body);
                const Pickle made = read(bytes);
                find_state_dict(made.root());
              }),
              HasSubstr("more than 400000 items"));
}

}  // namespace
}  // namespace tenon::checkpoint
