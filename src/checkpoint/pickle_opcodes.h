// The opcodes of the pickle format: those that are run, and the names of those that are refused.
#pragma once

#include <array>
#include <string_view>

namespace tenon::checkpoint {

/// The opcodes that are run, as the format numbers them.
enum PickleOp : unsigned char {
  kMark = '(',
  kStop = '.',
  kPop = '0',
  kPopMark = '1',
  kNone = 'N',
  kBinInt = 'J',
  kBinInt1 = 'K',
  kBinInt2 = 'M',
  kBinFloat = 'G',
  kBinUnicode = 'X',
  kBinString = 'T',
  kShortBinString = 'U',
  kBinBytes = 'B',
  kShortBinBytes = 'C',
  kGlobal = 'c',
  kBinPersistentId = 'Q',
  kReduce = 'R',
  kBuild = 'b',
  kEmptyTuple = ')',
  kTuple = 't',
  kEmptyList = ']',
  kAppend = 'a',
  kAppends = 'e',
  kEmptyDict = '}',
  kSetItem = 's',
  kSetItems = 'u',
  kBinPut = 'q',
  kLongBinPut = 'r',
  kBinGet = 'h',
  kLongBinGet = 'j',
  kProto = 0x80,
  kTuple1 = 0x85,
  kTuple2 = 0x86,
  kTuple3 = 0x87,
  kNewTrue = 0x88,
  kNewFalse = 0x89,
  kLong1 = 0x8a,
  kShortBinUnicode = 0x8c,
  kBinUnicode8 = 0x8d,
  kBinBytes8 = 0x8e,
  kStackGlobal = 0x93,
  kMemoize = 0x94,
  kFrame = 0x95,
};

struct PickleOpName {
  unsigned char op;
  std::string_view name;
};
/// Opcodes that are refused, so that the message can say which.
inline constexpr std::array<PickleOpName, 24> kRefusedPickleOps = {
    {{'F', "FLOAT"},      {'I', "INT"},        {'L', "LONG"},        {'P', "PERSID"},
     {'S', "STRING"},     {'V', "UNICODE"},    {'d', "DICT"},        {'g', "GET"},
     {'i', "INST"},       {'l', "LIST"},       {'o', "OBJ"},         {'p', "PUT"},
     {'2', "DUP"},        {0x81, "NEWOBJ"},    {0x82, "EXT1"},       {0x83, "EXT2"},
     {0x84, "EXT4"},      {0x8b, "LONG4"},     {0x8f, "EMPTY_SET"},  {0x90, "ADDITEMS"},
     {0x91, "FROZENSET"}, {0x92, "NEWOBJ_EX"}, {0x96, "BYTEARRAY8"}, {0x97, "NEXT_BUFFER"}}};

}  // namespace tenon::checkpoint
