#include "stoa/trainer/model/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "stoa/base/error.h"

namespace stoa::trainer {
namespace {

ModelSettings settings() {
  ModelSettings model;
  model.layers = 2;
  model.width = 33;
  model.heads = 3;
  model.vocabulary_size = 65;
  model.context_length = 17;
  return resolved(model);
}

TEST(Identity, SurvivesBeingWrittenAndRead) {
  const Json now = model_identity(settings());
  EXPECT_NO_THROW(require_same_identity(parse_json(now.dump(), "test"), now, "step-1"));
}

TEST(Identity, ADifferenceIsNamedWithBothValues) {
  ModelSettings other = settings();
  other.rope_theta = 500000;
  try {
    require_same_identity({{"model", model_identity(settings())}}, {{"model", model_identity(other)}}, "step-1");
    FAIL() << "no difference was found";
  } catch (const CheckpointError& error) {
    EXPECT_THAT(error.what(), testing::HasSubstr("step-1.model.rope_theta was 10000.0 when"));
    EXPECT_THAT(error.what(), testing::HasSubstr("500000.0 now"));
  }
}

TEST(Identity, AKeyThatIsMissingIsADifference) {
  Json saved = model_identity(settings());
  saved.erase("tied_embedding");
  EXPECT_THROW(require_same_identity(saved, model_identity(settings()), "step-1"), CheckpointError);
  EXPECT_THROW(require_same_identity(Json(), model_identity(settings()), "step-1"), CheckpointError);
}

}  // namespace
}  // namespace stoa::trainer
