// Pictures against Pillow's reading and resizing of the same files (tests/text_to_image/images),
// and hostile files.
#include "image/image.h"

#include <cmath>
#include <limits>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "base/mapped_file.h"
#include "image/file.h"
#include "image/resize.h"
#include "image/tensor_form.h"
#include "tensor/npy.h"

namespace tenon::image {
namespace {

using ::testing::HasSubstr;

const std::filesystem::path kFolder = TENON_SOURCE_DIR "/tests/text_to_image/images";

const auto& expected() {
  static const auto kExpected = read_npz(kFolder / "expected.npz");
  return kExpected;
}

Image image_of(const Tensor& tensor) {
  const auto& shape = tensor.shape();
  Image image(shape[1], shape[0], shape.size() == 3 ? static_cast<int>(shape[2]) : 1);
  std::copy_n(tensor.as<std::uint8_t>().begin(), image.pixels().size(), image.pixels().begin());
  return image;
}

int largest_difference(const Image& a, const Image& b) {
  EXPECT_EQ(a.width(), b.width());
  EXPECT_EQ(a.height(), b.height());
  EXPECT_EQ(a.channels(), b.channels());
  if (a.pixels().size() != b.pixels().size()) return 256;
  int largest = 0;
  for (std::size_t i = 0; i < a.pixels().size(); ++i) {
    largest = std::max(largest, std::abs(a.pixels()[i] - b.pixels()[i]));
  }
  return largest;
}

std::span<const std::byte> bytes_of(const std::string& text) {
  return std::as_bytes(std::span(text));
}

std::string error_of(const std::string& bytes) {
  try {
    decode_image(bytes_of(bytes));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::bad_input);
    return error.what();
  }
  return "no error";
}

TEST(Image, ReadsWhatPillowReads) {
  int files = 0;
  for (const auto& [name, tensor] : expected()) {
    if (name.find('@') != std::string::npos) continue;
    SCOPED_TRACE(name);
    // All decoders but those of JPEG and lossy WebP are exact by their formats; these two are the
    // same libraries with the same exact transforms.
    EXPECT_EQ(largest_difference(read_image(kFolder / name), image_of(tensor)), 0);
    ++files;
  }
  EXPECT_GE(files, 20);
}

TEST(Image, ResizesAsPillow) {
  int sizes = 0;
  for (const auto& [name, tensor] : expected()) {
    const std::size_t at = name.find('@');
    if (at == std::string::npos || name.find('x', at) == std::string::npos) continue;
    SCOPED_TRACE(name);
    const Image image = read_image(kFolder / name.substr(0, at));
    const Image target = image_of(tensor);
    EXPECT_EQ(largest_difference(resize_lanczos(image, target.width(), target.height()), target),
              0);
    ++sizes;
  }
  EXPECT_EQ(sizes, 21);
}

TEST(Image, ConvertsAsPillow) {
  EXPECT_EQ(to_gray(read_image(kFolder / "rgb.png")), image_of(expected().at("rgb.png@gray")));
  EXPECT_EQ(to_rgb(read_image(kFolder / "rgba.png")), image_of(expected().at("rgba.png@rgb")));
  const Image gray = read_image(kFolder / "gray.png");
  EXPECT_EQ(to_gray(to_rgb(gray)), gray);
}

TEST(Image, KeepsTextsOfPng) {
  std::vector<PngText> texts;
  decode_png(bytes_of(read_file(kFolder / "rgb.png")), &texts);
  ASSERT_EQ(texts.size(), 3U);
  EXPECT_EQ(texts[0],
            (PngText{"parameters", "a café\nNegative prompt: rain\nSteps: 4, Sampler: ddim"}));
  EXPECT_EQ(texts[1], (PngText{"Title", "木の家"}));
  EXPECT_EQ(texts[2].text.size(), 440U);
  texts.pop_back();
  std::vector<PngText> again;
  const Image image(3, 2, 1);
  EXPECT_EQ(decode_png(bytes_of(encode_png(image, texts)), &again), image);
  EXPECT_EQ(again, texts);
  EXPECT_THROW(encode_png(image, {{"", "x"}}), Error);
  EXPECT_THROW(encode_png(image, {{std::string(80, 'k'), "x"}}), Error);
}

TEST(Image, SurvivesItsFiles) {
  const auto folder = std::filesystem::temp_directory_path() / "tenon_image_test";
  std::filesystem::create_directories(folder);
  for (const char* name : {"gray.png", "rgb.png", "rgba.png"}) {
    const Image image = read_image(kFolder / name);
    const Image colour = image.channels() == 1 ? to_rgb(image) : image;
    write_image(folder / "a.png", image);
    EXPECT_EQ(read_image(folder / "a.png"), image);
    write_image(folder / "a.webp", image, {.quality = 101, .texts = {}});
    const Image back = read_image(folder / "a.webp");
    // Lossless WebP may change colours under alpha 0, which nobody sees.
    for (std::size_t i = 0; i < colour.pixels().size(); ++i) {
      const bool hidden = colour.channels() == 4 && colour.pixels()[i / 4 * 4 + 3] == 0;
      if (!hidden) {
        ASSERT_EQ(back.pixels()[i], colour.pixels()[i]) << name << " " << i;
      }
    }
    write_image(folder / "a.JPEG", image, {.quality = 100, .texts = {}});
    // Quality 100 rounds 64 coefficients of each block by at most half: 4 levels in a pixel's
    // root mean square are far more than that allows.
    const Image lossy = read_image(folder / "a.JPEG");
    const Image opaque = image.channels() == 4 ? to_rgb(image) : image;
    double sum = 0;
    for (std::size_t i = 0; i < opaque.pixels().size(); ++i) {
      sum += std::pow(lossy.pixels().at(i) - opaque.pixels()[i], 2);
    }
    EXPECT_LT(std::sqrt(sum / static_cast<double>(opaque.pixels().size())), 4) << name;
  }
  EXPECT_THROW(write_image(folder / "a.gif", Image(1, 1, 1)), Error);
  EXPECT_FALSE(std::filesystem::exists(folder / "a.gif"));
  std::filesystem::remove_all(folder);
}

TEST(Image, RefusesWhatItCannotRead) {
  EXPECT_THAT(error_of(""), HasSubstr("empty"));
  EXPECT_THAT(error_of("GIF89a"), HasSubstr("PNG, JPEG and WebP"));
  EXPECT_THAT(error_of(read_file(kFolder / "inks.jpg")), HasSubstr("four inks"));
  EXPECT_THAT(error_of(read_file(kFolder / "animation.webp")), HasSubstr("animation"));
  EXPECT_THROW(Image(kMaxSide, kMaxSide, 3), Error);
  EXPECT_THROW(Image(0, 1, 3), Error);
  EXPECT_THROW(Image(1, 1, 2), Error);
}

TEST(Image, RefusesEveryShorterFile) {
  for (const char* name : {"rgb.png", "palette.png", "rgb.jpg", "progressive.jpg", "lossless.webp",
                           "lossy.webp", "alpha.webp"}) {
    const std::string whole = read_file(kFolder / name);
    // The last bytes of each format hold no pixels: an end mark or padding.
    for (std::size_t size = 0; size + 16 < whole.size(); size += 7) {
      EXPECT_NE(error_of(whole.substr(0, size)), "no error") << name << " " << size;
    }
  }
}

TEST(Image, SurvivesDamage) {
  for (const auto& entry : std::filesystem::directory_iterator(kFolder)) {
    if (entry.path().extension() == ".npz") continue;
    const std::string whole = read_file(entry.path());
    for (std::size_t at = 0; at < whole.size(); at += 3) {
      std::string damaged = whole;
      damaged[at] = static_cast<char>(damaged[at] ^ 0x55);
      error_of(damaged);  // an Error or a picture, never a crash
    }
  }
}

TEST(Image, RefusesAHeaderThatAsksForTooMuch) {
  std::string bytes = read_file(kFolder / "rgb.png");
  // Width of IHDR: 0x7fffffff; its sum is wrong then, and so is the size.
  bytes.replace(16, 4, "\x7f\xff\xff\xff");
  EXPECT_THAT(error_of(bytes), HasSubstr("PNG"));
}

TEST(TensorForm, IsInRangeAndBack) {
  const Image image = read_image(kFolder / "rgb.png");
  const Tensor tensor = to_signed_tensor(image);
  EXPECT_EQ(tensor.shape(), (Shape{1, 3, 23, 29}));
  EXPECT_EQ(from_signed_tensor(tensor.view()).at(0), image);
  const std::vector<float> values = {-2, -1, 0, 1, 3, std::nextafter(1 / 255.0F - 1, 2.0F)};
  const Image clamped = from_signed_tensor(Tensor::from_floats({1, 1, 2, 3}, values).view()).at(0);
  // 0 is 127.5 and goes to the even 128; just over half a level becomes one.
  EXPECT_THAT(clamped.pixels(), testing::ElementsAre(0, 0, 128, 255, 255, 1));
  const std::vector<float> bad = {0, std::numeric_limits<float>::quiet_NaN()};
  EXPECT_THROW(from_signed_tensor(Tensor::from_floats({1, 1, 1, 2}, bad).view()), Error);
  EXPECT_THROW(from_signed_tensor(Tensor::from_floats({1, 2, 1, 1}, bad).view()), Error);
}

TEST(TensorForm, MakesMasksOfTwoValues) {
  Image mask(3, 1, 1);
  mask.pixels() = {127, 128, 255};
  const Tensor tensor = to_mask_tensor(mask);
  EXPECT_EQ(tensor.shape(), (Shape{1, 1, 1, 3}));
  EXPECT_THAT(tensor.as<float>(), testing::ElementsAre(0, 1, 1));
}

}  // namespace
}  // namespace tenon::image
