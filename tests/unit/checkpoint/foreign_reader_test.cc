/// What other tools see of a checkpoint: h5dump, h5py, and a second reader written from FORMAT.md.
#include <gtest/gtest.h>

#include <cstdlib>
#include <cstring>

#include "stoa/base/durable_file.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/checkpoint/small_model.h"

namespace stoa::checkpoint {
namespace {

/// Runs in "/", so that nothing depends on the working directory.
int run(const std::string& command) { return std::system(("cd / && " + command).c_str()); }

class ForeignReader : public ::testing::Test {
 protected:
  void SetUp() override {
    parallel::run_thread_ranks(3, 60, [&](parallel::Communicator& group) {
      SmallModel model(group.rank(), 3, Cut::kLastDim);
      model.fill(kStep);
      CheckpointStore(directory_.path(), "1", log_).save({kStep, Json::object()}, model.to_save(), group, {1});
    });
  }
  std::string folder() const { return (directory_.path() / "latest").string(); }

  static constexpr std::int64_t kStep = 12;
  TemporaryFolder directory_;
  Log log_{stderr, "test"};
};

TEST_F(ForeignReader, H5dumpShowsWholeTensorsFromAnyDirectory) {
  if (run("h5dump --version > /dev/null 2>&1") != 0) GTEST_SKIP() << "h5dump is not installed";
  for (const GlobalTensor& tensor : SmallModel::tensors()) {
    const std::string out = (directory_.path() / "values").string();
    ASSERT_EQ(run(fmt::format("h5dump -d /{} -b LE -o {} {}/checkpoint.h5 > /dev/null", tensor.name, out, folder())),
              0);
    const std::string bytes = read_text_file(out);
    std::int64_t elements = 1;
    for (const std::int64_t extent : tensor.shape) elements *= extent;
    ASSERT_EQ(bytes.size(), static_cast<std::size_t>(elements) * sizeof(float)) << tensor.name;
    for (std::int64_t i = 0; i < elements; ++i) {
      const float expected = small_model_value(kStep, tensor.name, i);
      ASSERT_EQ(std::memcmp(&expected, bytes.data() + static_cast<std::size_t>(i) * sizeof expected, sizeof expected),
                0)
          << tensor.name << " element " << i;
    }
  }
}

TEST_F(ForeignReader, ASecondReaderWrittenFromTheFormatAgreesWithH5py) {
  if (run("/usr/bin/python3 -c 'import h5py, xxhash' 2> /dev/null") != 0)
    GTEST_SKIP() << "python3-h5py or python3-xxhash is not installed";
  EXPECT_EQ(run(fmt::format("/usr/bin/python3 {}/read_checkpoint.py {} > /dev/null", STOA_TEST_SOURCE_DIR, folder())),
            0);
}

TEST_F(ForeignReader, TheGlobalViewShowsNaNWhereAShardIsMissing) {
  if (run("/usr/bin/python3 -c 'import h5py' 2> /dev/null") != 0) GTEST_SKIP() << "python3-h5py is not installed";
  std::filesystem::remove(folder() + "/shard-00001-of-00003.h5");
  const std::string script = fmt::format(
      "import h5py, numpy\n"
      "bias = h5py.File('{}/checkpoint.h5')['parameters/bias'][...].view('u4')\n"
      "assert (bias[86:172] == numpy.array([numpy.nan], 'f4').view('u4')).all()\n"
      "assert (bias[:86] != bias[100]).any()\n",
      folder());
  EXPECT_EQ(run("/usr/bin/python3 -c \"" + script + "\""), 0);
}

}  // namespace
}  // namespace stoa::checkpoint
