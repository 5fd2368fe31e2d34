#include "serving/tensors/batch_policy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/error.h"

namespace tenon::serving {
namespace {

using ::testing::ElementsAre;

inference::ModelConfig config_of(int max_batch) {
  inference::ModelConfig config;
  config.set_max_batch_size(max_batch);
  return config;
}

TEST(BatchPolicy, IsThatOfTheConfiguration) {
  inference::ModelConfig config = config_of(8);
  config.add_instance_group()->set_count(2);
  auto& dynamic = *config.mutable_dynamic_batching();
  dynamic.add_preferred_batch_size(8);
  dynamic.add_preferred_batch_size(4);
  dynamic.set_max_queue_delay_microseconds(100);
  dynamic.set_priority_levels(2);
  dynamic.set_default_priority_level(2);
  auto& queue = (*dynamic.mutable_priority_queue_policy())[1];
  queue.set_max_queue_size(100);
  queue.set_default_timeout_microseconds(7);
  queue.set_timeout_action(inference::ModelQueuePolicy::DELAY);
  const BatchPolicy policy = batch_policy(config, 64, 0);
  EXPECT_EQ(policy.max_batch, 8);
  EXPECT_EQ(policy.instances, 2);
  EXPECT_TRUE(policy.joins);
  EXPECT_THAT(policy.preferred, ElementsAre(4, 8));
  EXPECT_EQ(policy.delay, microseconds(100));
  EXPECT_EQ(policy.default_level, 2U);
  EXPECT_EQ(policy.max_waiting, 100);
  EXPECT_EQ(policy.queue_of(1).timeout, microseconds(7));
  EXPECT_TRUE(policy.queue_of(1).delay);
  EXPECT_FALSE(policy.queue_of(2).delay);
}

TEST(BatchPolicy, OfSequencesCountsSlots) {
  inference::ModelConfig config = config_of(4);
  config.add_instance_group()->set_count(2);
  config.mutable_sequence_batching()->mutable_direct()->set_minimum_slot_utilization(0.5);
  BatchPolicy policy = batch_policy(config, 64, 0);
  EXPECT_EQ(policy.max_sequences, 8);
  EXPECT_EQ(policy.enough, 2);
  EXPECT_EQ(policy.sequence_idle, kSequenceIdle);
  config.mutable_sequence_batching()->mutable_oldest()->set_max_candidate_sequences(3);
  policy = batch_policy(config, 64, 0);
  EXPECT_EQ(policy.max_sequences, 6);
}

TEST(BatchPolicy, RefusesWhatIsOutOfRange) {
  inference::ModelConfig config = config_of(4);
  config.mutable_dynamic_batching()->add_preferred_batch_size(5);
  EXPECT_THROW(batch_policy(config, 64, 0), Error);
  config = config_of(4);
  config.mutable_dynamic_batching()->set_priority_levels(2);
  EXPECT_THROW(batch_policy(config, 64, 0), Error);  // no default level
  config.mutable_dynamic_batching()->set_default_priority_level(1);
  EXPECT_NO_THROW(batch_policy(config, 64, 0));
  config.mutable_dynamic_batching()->set_preserve_ordering(true);
  EXPECT_THROW(batch_policy(config, 64, 0), Error);
  config = config_of(4);
  config.add_instance_group()->set_count(1000000);
  EXPECT_THROW(batch_policy(config, 64, 0), Error);
}

}  // namespace
}  // namespace tenon::serving
