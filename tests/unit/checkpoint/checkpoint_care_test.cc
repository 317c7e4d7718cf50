/// What is done with checkpoints after they were written: inventory, verifying, comparing, copying, the index; and what
/// guards them: modes, links, norms.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <map>

#include "stoa/base/durable_file.h"
#include "stoa/checkpoint/checkpoint_reader.h"
#include "stoa/checkpoint/checkpoint_store.h"
#include "stoa/checkpoint/copying.h"
#include "stoa/checkpoint/difference.h"
#include "stoa/checkpoint/inventory.h"
#include "stoa/checkpoint/manifest.h"
#include "stoa/checkpoint/piece_norms.h"
#include "stoa/checkpoint/verify.h"
#include "stoa/checkpoint/view_file.h"
#include "stoa/parallel/one_rank.h"
#include "stoa/parallel/thread_ranks.h"
#include "stoa/tests/unit/checkpoint/small_model.h"

namespace stoa::checkpoint {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::ThrowsMessage;

constexpr double kDeadline_s = 60;

void flip(const fs::path& path, std::int64_t at) {
  std::fstream file(path, std::ios::in | std::ios::out | std::ios::binary);
  file.seekg(at);
  const char byte = static_cast<char>(file.get());
  file.seekp(at);
  file.put(static_cast<char>(byte ^ 0x10));
}

void read_tensor(const fs::path& folder, const GlobalTensor& tensor, std::vector<float>& values) {
  CheckpointReader(folder).read({tensor, parallel::whole_box(tensor.shape), values});
}

class CheckpointCare : public ::testing::Test {
 protected:
  /// Finite values, so that norms are recorded.
  static std::vector<float> values(const PieceToSave& piece, std::int64_t step) {
    std::vector<float> made;
    for (std::size_t i = 0; i < piece.values.size(); ++i) made.push_back(float(step) + 0.25F * float(i % 97));
    return made;
  }
  fs::path save(std::int64_t step, int ranks = 1, Cut cut = Cut::kFirstDim, std::optional<double> loss = std::nullopt,
                const RetentionRules& rules = {9}) {
    parallel::run_thread_ranks(ranks, kDeadline_s, [&](parallel::Communicator& group) {
      SmallModel model(group.rank(), ranks, cut);
      std::vector<std::vector<float>> held;
      std::vector<PieceToSave> pieces;
      for (const PieceToSave& piece : model.to_save()) {
        held.push_back(values(piece, step));
        pieces.push_back({piece.tensor, piece.box, held.back()});
      }
      CheckpointStore(directory(), "1", log_).save({step, Json::object(), loss}, pieces, group, rules);
    });
    return directory() / fmt::format("step-{:08}", step);
  }
  fs::path directory() const { return folder_.path() / "checkpoints"; }
  std::vector<std::int64_t> steps() {
    std::vector<std::int64_t> found;
    for (const InventoryEntry& each : take_inventory(directory()).checkpoints) found.push_back(each.entry.step);
    return found;
  }

  TemporaryFolder folder_;
  Log log_{stderr, "test", LogLevel::kError};
};

TEST_F(CheckpointCare, RulesRemoveWhatNoneOfThemKeeps) {
  const RetentionRules rules{1, 6, 1};
  for (const auto& [step, loss] :
       {std::pair(3, 2.0), std::pair(6, 4.0), std::pair(9, 1.0), std::pair(12, 3.0), std::pair(15, 5.0)})
    save(step, 1, Cut::kFirstDim, loss, rules);
  EXPECT_THAT(steps(), ElementsAre(6, 9, 12, 15));
}

TEST_F(CheckpointCare, TheInventoryTellsWhatIsThereAndWhatIsWrong) {
  save(1, 2, Cut::kFirstDim, 2.5);
  const fs::path cut = save(2, 3);
  fs::resize_file(cut / "shard-00001-of-00003.h5", 100);
  save(3);
  fs::create_directories(directory() / "step-00000004.partial-2");
  write_file_durably(directory() / "step-00000004.partial-2" / "part", std::string(257, 'x'));
  const Inventory inventory = take_inventory(directory());
  ASSERT_EQ(inventory.checkpoints.size(), 3u);
  EXPECT_EQ(inventory.checkpoints[0].shards, 2);
  EXPECT_EQ(inventory.checkpoints[0].files, 4);
  EXPECT_EQ(inventory.checkpoints[0].evaluation_loss, 2.5);
  EXPECT_EQ(inventory.checkpoints[0].defect, "");
  EXPECT_FALSE(inventory.checkpoints[0].is_latest);
  EXPECT_THAT(inventory.checkpoints[1].defect, AllOf(HasSubstr("shard-00001-of-00003.h5"), HasSubstr("100 bytes")));
  EXPECT_TRUE(inventory.checkpoints[2].is_latest);
  ASSERT_EQ(inventory.leftovers.size(), 1u);
  EXPECT_EQ(inventory.leftovers[0].bytes, 257);
  fs::remove(directory() / "step-00000003" / "manifest.json");
  EXPECT_EQ(to_prune(take_inventory(directory()), {1}).size(), 1u)
      << "of 1, 2 and 3 only 1 is whole, and 3 is the newest";
}

TEST_F(CheckpointCare, VerifyingNamesEveryFileThatIsWrong) {
  const fs::path whole = save(5, 3);
  for (const int threads : {1, 2, 5}) EXPECT_THAT(verify_all(whole, threads, [](auto, auto) {}).defects, ElementsAre());
  const std::int64_t bytes = verify_all(whole, 2, [](auto, auto) {}).bytes;
  EXPECT_EQ(bytes, std::int64_t(sizeof(float)) * (1 + 1 + 2 * 33 * 65 + 257 + 105));
  flip(whole / "shard-00000-of-00003.h5", 0);
  fs::remove(whole / "shard-00002-of-00003.h5");
  flip(whole / "checkpoint.h5", 500);
  const VerifyReport report = verify_all(whole, 2, [](auto, auto) {});
  EXPECT_THAT(report.defects,
              ElementsAre(HasSubstr("checkpoint.h5"), AllOf(HasSubstr("shard-00000"), HasSubstr("between")),
                          AllOf(HasSubstr("shard-00002"), HasSubstr("No such file"))));
}

// Of every file, every byte: there is none that nothing covers.
TEST_F(CheckpointCare, NoByteOfAnyFileCanChangeUnseen) {
  const fs::path whole = save(5, 2);
  std::int64_t seen = 0;
  for (const auto& file : fs::directory_iterator(whole)) {
    const auto bytes = static_cast<std::int64_t>(fs::file_size(file.path()));
    const std::int64_t stride = std::max<std::int64_t>(1, bytes / 257);
    for (std::int64_t at = bytes % stride; at < bytes; at += stride, ++seen) {
      flip(file.path(), at);
      bool noticed = false;
      try {
        noticed = !verify_all(whole, 1, [](auto, auto) {}).defects.empty();
      } catch (const CheckpointError&) {
        noticed = true;  // the manifest
      }
      EXPECT_TRUE(noticed) << file.path() << " byte " << at;
      flip(file.path(), at);
    }
  }
  EXPECT_GT(seen, 4 * 257);
  EXPECT_THAT(verify_all(whole, 1, [](auto, auto) {}).defects, ElementsAre());
}

TEST_F(CheckpointCare, DifferencesAreFoundWhateverTheLayouts) {
  const fs::path first = save(5, 2, Cut::kFirstDim);
  std::vector<TensorDifference> all;
  const auto compare = [&](const fs::path& second) {
    all.clear();
    compare_checkpoints(first, second, [&](const TensorDifference& each) { all.push_back(each); });
  };
  compare(first);
  for (const TensorDifference& each : all) EXPECT_EQ(each.kind, TensorDifference::Kind::kSame) << each.name;
  EXPECT_EQ(all.size(), SmallModel::tensors().size());
  // The last tensors of another step, of one rank, with one of another shape and one more.
  parallel::OneRank one;
  std::vector<GlobalTensor> tensors{{"parameters/bias", DType::kFloat32, {257}},
                                    {"parameters/cube", DType::kFloat32, {5, 3, 8}},
                                    {"parameters/more", DType::kFloat32, {1}}};
  std::vector<float> bias(257), cube(120), more(1);
  read_tensor(first, tensors[0], bias);
  bias[200] += 0.5F;
  bias[3] = -bias[3];
  const std::vector<PieceToSave> pieces{
      {tensors[0], {{0}, {257}}, bias}, {tensors[1], {{0, 0, 0}, {5, 3, 8}}, cube}, {tensors[2], {{0}, {1}}, more}};
  CheckpointStore(folder_.path() / "other", "1", log_).save({6, Json::object()}, pieces, one, {1});
  compare(folder_.path() / "other" / "step-00000006");
  std::map<std::string, TensorDifference> by_name;
  for (const TensorDifference& each : all) by_name[each.name] = each;
  using Kind = TensorDifference::Kind;
  EXPECT_EQ(by_name["adam_m/layers.0.weight"].kind, Kind::kOnlyFirst);
  EXPECT_EQ(by_name["parameters/more"].kind, Kind::kOnlySecond);
  EXPECT_EQ(by_name["parameters/cube"].kind, Kind::kOtherShape);
  EXPECT_EQ(by_name["parameters/cube"].shapes, "[5, 3, 7] and [5, 3, 8]");
  const TensorDifference& changed = by_name["parameters/bias"];
  EXPECT_EQ(changed.kind, Kind::kOtherValues);
  EXPECT_EQ(changed.different, 2);
  EXPECT_EQ(changed.largest, 2 * double(-bias[3]));
  EXPECT_THAT(changed.where, ElementsAre(3));
}

TEST_F(CheckpointCare, ACopyIsWholeOrNotThere) {
  const fs::path whole = save(5, 2);
  const fs::path to = folder_.path() / "kept";
  const std::int64_t bytes = copy_checkpoint(whole, to, [](auto, auto) {});
  EXPECT_EQ(bytes, inventory_of({5, whole}).bytes);
  EXPECT_THAT(verify_all(to, 2, [](auto, auto) {}).defects, ElementsAre());
  EXPECT_THROW(copy_checkpoint(whole, to, [](auto, auto) {}), UsageError);
  flip(whole / "shard-00001-of-00002.h5", std::int64_t(fs::file_size(whole / "shard-00001-of-00002.h5")) / 2);
  const fs::path never = folder_.path() / "never";
  EXPECT_THROW(copy_checkpoint(whole, never, [](auto, auto) {}), CheckpointError);
  EXPECT_FALSE(fs::exists(never));
  EXPECT_FALSE(fs::exists(never.string() + ".partial"));
}

TEST_F(CheckpointCare, TheIndexIsWrittenAnewAsItWas) {
  const fs::path whole = save(5, 2);
  const std::string before = read_text_file(whole / "checkpoint.h5");
  flip(whole / "checkpoint.h5", 700);
  EXPECT_NE(view_defect(whole), "");
  EXPECT_EQ(rewrite_view(whole), 10);
  EXPECT_EQ(view_defect(whole), "");
  EXPECT_TRUE(read_text_file(whole / "checkpoint.h5") == before);
  fs::remove(whole / "checkpoint.h5");
  EXPECT_EQ(view_defect(whole), "");
}

TEST_F(CheckpointCare, NothingIsForEveryonesEyes) {
  const mode_t before = ::umask(0);
  const fs::path whole = save(5, 2);
  ::umask(before);
  EXPECT_EQ(fs::status(whole).permissions() & fs::perms::others_all, fs::perms::none);
  for (const auto& file : fs::directory_iterator(whole))
    EXPECT_EQ(file.status().permissions() & fs::perms::others_all, fs::perms::none) << file.path();
}

TEST_F(CheckpointCare, LinksAreNotFollowed) {
  const fs::path whole = save(5, 2), secret = folder_.path() / "secret";
  for (const char* name : {"shard-00001-of-00002.h5", "manifest.json"}) {
    fs::rename(whole / name, secret);
    fs::create_symlink(secret, whole / name);
    SmallModel model(0, 1, Cut::kFirstDim);
    EXPECT_THAT([&] { CheckpointStore(directory(), "1", log_).load(whole, model.to_load()); },
                ThrowsMessage<CheckpointError>(HasSubstr(name)));
    EXPECT_NE(inventory_of({5, whole}).defect, "");
    fs::remove(whole / name);
    fs::rename(secret, whole / name);
  }
}

TEST_F(CheckpointCare, NormsOfWhatWasLoadedAreComparedWithTheManifest) {
  const fs::path whole = save(5, 3, Cut::kLastDim);
  const Manifest manifest = read_manifest(whole);
  const GlobalTensor bias{"parameters/bias", DType::kFloat32, {257}};
  std::vector<float> values(257);
  read_tensor(whole, bias, values);
  const std::vector<PieceToLoad> halves{{bias, {{0}, {100}}, std::span(values).first(100)},
                                        {bias, {{100}, {157}}, std::span(values).subspan(100)}};
  const auto told = [&](float change) {
    const std::vector<double> squares{sum_of_squares(halves[0].values) + change, sum_of_squares(halves[1].values)};
    return describe_loaded(halves, squares);
  };
  // Two ranks that hold the same, as data ranks do.
  EXPECT_EQ(norm_defect(manifest, std::vector{told(0), told(0)}), "");
  EXPECT_THAT(norm_defect(manifest, std::vector{told(1)}), AllOf(HasSubstr("parameters/bias"), HasSubstr("its norm")));
  EXPECT_THAT(norm_defect(manifest, std::vector{told(0), told(1)}), HasSubstr("two ranks loaded other values"));
}

}  // namespace
}  // namespace stoa::checkpoint
