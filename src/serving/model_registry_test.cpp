// Versions of models through loads, failures and unloads.
#include "serving/model_registry.h"

#include <atomic>
#include <future>
#include <thread>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/interrupt.h"

namespace tenon::serving {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class Named final : public ServedModel {
 public:
  Named(std::string name, std::string version, int made) {
    info_.name = std::move(name);
    info_.version = std::move(version);
    info_.platform = std::to_string(made);
  }
  const ModelInfo& info() const override { return info_; }

 private:
  ModelInfo info_;
};

// Plans what it is told to.
class Shelf final : public Catalogue {
 public:
  std::vector<std::string> names() override { return {"m"}; }
  LoadPlan plan(const std::string& name, const LoadParameters&) override {
    if (name != "m") throw UnknownModel("nobody");
    LoadPlan made;
    for (const auto& version : versions) {
      made.versions.push_back({version, stamp, [this, version] {
                                 if (broken.contains(version)) bad_input("{} is broken", version);
                                 if (on_make) on_make();
                                 return std::make_shared<Named>("m", version, ++count);
                               }});
    }
    return made;
  }
  std::vector<std::string> versions = {"1"};
  std::set<std::string> broken;
  std::string stamp = "s";
  std::function<void()> on_make;
  std::atomic<int> count{0};
};

class RegistryTest : public testing::Test {
 protected:
  RegistryTest() {
    models_.set_catalogue(shelf_);
    models_.set_control(ModelRegistry::Control::on_demand);
  }
  std::string failure() {
    try {
      models_.load("m");
    } catch (const std::exception& error) {
      return error.what();
    }
    return "loaded";
  }
  /// A load under way, which only an interrupt ends; what failure() says then.
  std::future<std::string> load_without_end() {
    const auto began = std::make_shared<std::promise<void>>();
    shelf_->on_make = [began] {
      began->set_value();
      while (true) check_interrupt();
    };
    auto loading = std::async(std::launch::async, [this] { return failure(); });
    began->get_future().wait();
    return loading;
  }
  std::shared_ptr<Shelf> shelf_ = std::make_shared<Shelf>();
  ModelRegistry models_;
};

TEST_F(RegistryTest, NewestIsTheDefault) {
  shelf_->versions = {"2", "10"};
  models_.load("m");
  EXPECT_EQ(models_.get("m")->info().version, "10");
  EXPECT_EQ(models_.get("m", "2")->info().version, "2");
  EXPECT_THAT(models_.versions("m"), ElementsAre("2", "10"));
  EXPECT_THROW(models_.get("m", "1"), UnknownModel);
  EXPECT_THROW(models_.get("m", "02"), UnknownModel);
}

TEST_F(RegistryTest, BrokenVersionLeavesTheOldOne) {
  models_.load("m");
  shelf_->versions = {"2"};
  shelf_->broken = {"2"};
  EXPECT_EQ(failure(), "2 is broken");
  EXPECT_EQ(models_.get("m")->info().version, "1");
  const auto index = models_.index();
  ASSERT_EQ(index.size(), 2U);
  EXPECT_EQ(index[0].state, "READY");
  EXPECT_EQ(index[1].state, "UNAVAILABLE");
  EXPECT_EQ(index[1].reason, "2 is broken");
  EXPECT_TRUE(models_.ready());
  shelf_->broken = {};
  models_.load("m");
  EXPECT_THAT(models_.versions("m"), ElementsAre("2"));
}

TEST_F(RegistryTest, GoodVersionsServeBesideBrokenOnesAtTheStart) {
  shelf_->versions = {"1", "2"};
  shelf_->broken = {"2"};
  EXPECT_EQ(failure(), "2 is broken");
  EXPECT_THAT(models_.versions("m"), ElementsAre("1"));
}

TEST_F(RegistryTest, RefreshKeepsWhatDidNotChange) {
  models_.refresh("m");
  models_.refresh("m");
  EXPECT_EQ(shelf_->count.load(), 1);
  shelf_->stamp = "t";
  models_.refresh("m");
  EXPECT_EQ(shelf_->count.load(), 2);
  models_.load("m");
  EXPECT_EQ(shelf_->count.load(), 3);
}

TEST_F(RegistryTest, RequestsKeepTheirModel) {
  models_.load("m");
  auto held = models_.get("m");
  models_.load("m");
  EXPECT_EQ(held->info().platform, "1");
  EXPECT_EQ(models_.get("m")->info().platform, "2");
  auto last = models_.get("m");
  models_.unload("m");
  EXPECT_THROW(models_.get("m"), UnknownModel);
  EXPECT_EQ(models_.index()[0].state, "UNLOADING");
  last = {};
  EXPECT_EQ(models_.index()[0].state, "UNAVAILABLE");
  EXPECT_EQ(models_.index()[0].reason, "unloaded");
  EXPECT_TRUE(models_.ready());
}

TEST_F(RegistryTest, UnloadEndsALoad) {
  auto loading = load_without_end();
  EXPECT_EQ(models_.index()[0].state, "LOADING");
  models_.unload("m");
  EXPECT_THAT(loading.get(), HasSubstr("unloaded while it was loading"));
  EXPECT_THROW(models_.get("m"), UnknownModel);
}

TEST_F(RegistryTest, StopEndsALoadAndAllToCome) {
  auto loading = load_without_end();
  models_.stop();
  EXPECT_THAT(loading.get(), HasSubstr("the server ends"));
  EXPECT_THAT(failure(), HasSubstr("the server ends"));
}

TEST_F(RegistryTest, UnknownNamesLeaveNothing) {
  EXPECT_THROW(models_.load("other"), UnknownModel);
  EXPECT_THROW(models_.load("../m"), UnknownModel);
  EXPECT_THROW(models_.load(""), UnknownModel);
  EXPECT_THROW(models_.unload("other"), UnknownModel);
  EXPECT_THAT(models_.names(), ElementsAre());
  EXPECT_EQ(models_.index().size(), 1U);  // m lies there
  EXPECT_EQ(models_.index()[0].reason, "not loaded");
}

TEST_F(RegistryTest, ControlDecidesWhatClientsMay) {
  models_.set_control(ModelRegistry::Control::polled);
  EXPECT_THAT(failure(), HasSubstr("not allowed"));
  models_.refresh("m");
  EXPECT_THROW(models_.unload("m"), Error);
  models_.set_control(ModelRegistry::Control::fixed);
  models_.load("m");
  EXPECT_THROW(models_.load("m", {"{}", {}}), Error);
}

TEST_F(RegistryTest, ReadyWaitsForWhatIsExpected) {
  EXPECT_TRUE(models_.ready());
  models_.expect("m");
  EXPECT_FALSE(models_.ready());
  models_.load("m");
  EXPECT_TRUE(models_.ready());
}

TEST_F(RegistryTest, ManyThreads) {
  models_.load("m");
  std::atomic<bool> ends{false};
  std::atomic<int> wrong{0};
  std::vector<std::thread> readers;
  for (int i = 0; i < 4; ++i) {
    readers.emplace_back([&] {
      while (!ends) {
        try {
          if (models_.get("m")->info().name != "m") ++wrong;
        } catch (const UnknownModel&) {
        }
        models_.index();
      }
    });
  }
  for (int i = 0; i < 300; ++i) {
    models_.load("m");
    if (i % 3 == 0) models_.unload("m");
  }
  ends = true;
  for (auto& reader : readers) reader.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST(Names, AreCheckedBeforeAnythingElse) {
  for (const std::string name :
       {"", " ", "../x", "a/b", ".", "..", "-x", "CON", "con", "NUL.x", "com1", "LPT9.txt"})
    EXPECT_FALSE(is_model_name(name)) << name;
  EXPECT_FALSE(is_model_name(std::string("a\0b", 3)));
  EXPECT_FALSE(is_model_name(std::string(5000, 'a')));
  for (const std::string name : {"a", "A.b_c-9", "CONE", "com0", "x.CON"})
    EXPECT_TRUE(is_model_name(name)) << name;
}

}  // namespace
}  // namespace tenon::serving
