// Folders of models: what is found, planned, refused, and taken when it changes.
#include "serving/repository/repository.h"

#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"
#include "serving/model_registry.h"
#include "serving/repository/client_files.h"
#include "serving/repository/model_folder.h"

namespace tenon::serving {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class RepositoryTest : public testing::Test {
 protected:
  RepositoryTest() {
    std::string name = (fs::temp_directory_path() / "tenon-repository-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) throw std::runtime_error("no temporary folder");
    folder_ = name;
  }
  ~RepositoryTest() override { fs::remove_all(folder_); }

  void put(const fs::path& path, const std::string& text) {
    fs::create_directories((folder_ / path).parent_path());
    std::ofstream(folder_ / path) << text;
  }
  Repository repository() { return {{folder_}, {}, {}}; }
  std::vector<std::string> planned(const std::string& name) {
    std::vector<std::string> versions;
    for (const auto& one : repository().plan(name, {}).versions) versions.push_back(one.version);
    return versions;
  }
  std::string refusal(const std::string& name, const LoadParameters& parameters = {}) {
    try {
      const auto plan = repository().plan(name, parameters);
      for (const auto& one : plan.versions) one.make();
    } catch (const std::exception& error) {
      return error.what();
    }
    return "accepted";
  }

  fs::path folder_;
};

TEST_F(RepositoryTest, FindsModelsAndBundles) {
  put("sums/1/model.onnx", "x");
  put("only_config/config.pbtxt", "");
  put("drawn.tenon", "x");
  put("notes/readme.txt", "x");
  put("CON/1/model.onnx", "x");
  put("-x/1/model.onnx", "x");
  put("a b/1/model.onnx", "x");
  put(std::string(200, 'a') + "/1/model.onnx", "x");
  put(".half/1/model.onnx", "x");
  EXPECT_THAT(repository().names(), ElementsAre("drawn", "only_config", "sums"));
  EXPECT_TRUE(is_repository(folder_));
  EXPECT_FALSE(is_repository(folder_ / "notes"));
}

TEST_F(RepositoryTest, ChoosesVersionsByPolicy) {
  for (const char* version : {"1", "2", "10", "9223372036854775807"})
    put(fs::path("sums") / version / "model.onnx", "x");
  EXPECT_THAT(planned("sums"), ElementsAre("9223372036854775807"));
  put("sums/config.pbtxt", "version_policy { latest { num_versions: 2 } }");
  EXPECT_THAT(planned("sums"), ElementsAre("10", "9223372036854775807"));
  put("sums/config.pbtxt", "version_policy { all {} }");
  EXPECT_THAT(planned("sums"), ElementsAre("1", "2", "10", "9223372036854775807"));
  put("sums/config.pbtxt", "version_policy { specific { versions: [ 2, 1 ] } }");
  EXPECT_THAT(planned("sums"), ElementsAre("1", "2"));
  put("sums/config.pbtxt", "version_policy { specific { versions: [ 3 ] } }");
  EXPECT_THAT(refusal("sums"), HasSubstr("asks for version 3, there are 1, 2, 10"));
}

TEST_F(RepositoryTest, TellsOfFoldersThatAreNoVersions) {
  for (const char* version : {"1", "01", "-1", "0", "9223372036854775808", "warmup"})
    put(fs::path("sums") / version / "model.onnx", "x");
  const auto plan = repository().plan("sums", {});
  EXPECT_EQ(plan.versions.size(), 1U);
  std::vector<std::string> names;
  for (const auto& [name, reason] : plan.refused) names.push_back(name);
  EXPECT_THAT(names, ElementsAre("-1", "0", "01", "9223372036854775808"));
  fs::remove_all(folder_ / "sums" / "1");
  EXPECT_THAT(refusal("sums"), HasSubstr("leading zeros"));
}

TEST_F(RepositoryTest, RefusesByName) {
  put("none/config.pbtxt", "");
  EXPECT_THAT(refusal("none"), HasSubstr("holds no folder of a version"));
  fs::create_directories(folder_ / "empty" / "1");
  EXPECT_THAT(refusal("empty"), HasSubstr("is empty"));
  put("plan/1/model.plan", "x");
  EXPECT_THAT(refusal("plan"), HasSubstr("give its ONNX file"));
  put("named/1/model.onnx", "x");
  put("named/config.pbtxt", "name: \"other\"");
  EXPECT_THAT(refusal("named"), HasSubstr("\"other\""));
  put("file/1/model.onnx", "x");
  put("file/config.pbtxt", "default_model_filename: \"m.onnx\"");
  EXPECT_THAT(refusal("file"), HasSubstr("there is no m.onnx"));
  put("twice/1/model.onnx", "x");
  put("twice.tenon", "x");
  EXPECT_THAT(refusal("twice"), HasSubstr("two models have the name twice"));
  for (const char* name : {"../sums", "", " ", "nobody", ".", ".."})
    EXPECT_THROW(repository().plan(name, {}), UnknownModel) << name;
}

TEST_F(RepositoryTest, ChecksFilesOfClients) {
  LoadParameters parameters{"{}", {}};
  for (const std::string path :
       {"model.onnx", "../1/model.onnx", "1/../../x", "/1/x", "01/x", "0/x", "-1/x", "1/", "1//x",
        "1/a\\b", "1/.", "99999999999999999999/x", "1/2/3/4/5/6/7/8/9"}) {
    parameters.files = {{path, "x"}};
    EXPECT_THAT(refusal("sums", parameters), HasSubstr("does not lie in the folder")) << path;
  }
  parameters.files = {{std::string("1/a\0b", 5), "x"}};
  EXPECT_THAT(refusal("sums", parameters), HasSubstr("does not lie in the folder"));
  parameters = {"", {{"1/model.onnx", "x"}}};
  EXPECT_THAT(refusal("sums", parameters), HasSubstr("need the parameter config"));
  fs::path there;
  {
    const std::map<std::string, std::string> sent = {{"1/model.onnx", "abc"}};
    const ClientFiles files(sent);
    there = files.folder();
    EXPECT_EQ(fs::file_size(there / "1" / "model.onnx"), 3U);
    EXPECT_EQ(fs::status(there).permissions() & fs::perms::others_all, fs::perms::none);
  }
  EXPECT_FALSE(fs::exists(there));
}

TEST_F(RepositoryTest, StampsFollowFiles) {
  put("sums/1/model.onnx", "x");
  auto models = repository();
  const std::string before = models.stamp("sums");
  EXPECT_EQ(models.stamp("sums"), before);
  put("sums/1/model.onnx", "xy");
  const std::string after = models.stamp("sums");
  EXPECT_NE(after, before);
  EXPECT_LT(models.seconds_since_change("sums"), 60);
  put("sums/2/model.onnx", "x");
  EXPECT_NE(models.stamp("sums"), after);
  fs::remove_all(folder_ / "sums");
  EXPECT_EQ(models.stamp("sums"), "");
}

}  // namespace
}  // namespace tenon::serving
