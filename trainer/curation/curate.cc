#include "stoa/trainer/curation/curate.h"

#include <algorithm>
#include <atomic>

#include "stoa/base/checksum.h"
#include "stoa/base/error.h"
#include "stoa/base/progress_lines.h"
#include "stoa/base/units.h"
#include "stoa/trainer/curation/curated_folder.h"
#include "stoa/trainer/curation/curation_pass.h"
#include "stoa/trainer/curation/describe.h"
#include "stoa/trainer/data/ordered_work.h"

namespace stoa::trainer {
namespace {

/// Bounds memory: up to four chunks live for each thread.
constexpr std::int64_t kChunkBytes = std::int64_t{1} << 20;
constexpr std::int64_t kMostDocumentBytes = std::int64_t{1} << 28;
constexpr std::int64_t kUtf8Version = 1;

/// What is done in the order of documents. One thread at a time.
class OrderedPart {
 public:
  OrderedPart(const CurationSettings& settings, std::vector<PassStep>& steps, CuratedFolder* folder)
      : settings_(settings), steps_(steps), folder_(folder), file_documents_(settings.sources.files.size()) {
    const auto filters = make_filters(settings);
    for (std::size_t i = 0; i < steps.size(); ++i) {
      const bool is_utf8 = steps[i].is_utf8;
      tallies_.emplace_back(is_utf8 ? "utf8" : std::string(step_name(steps[i].kind)),
                            is_utf8 ? kUtf8Version : step_version(steps[i].kind), settings_of(i),
                            step_reasons(steps[i], filters[i].get()), settings.samples);
    }
    step_times_s_.resize(steps.size());
  }

  void consume(DocumentBatch& batch) {
    const std::size_t count = batch.documents.size();
    std::vector<bool> alive(count, true);
    file_documents_[static_cast<std::size_t>(batch.chunk.file)] += static_cast<std::int64_t>(count);
    documents_in_ += static_cast<std::int64_t>(count);
    for (std::size_t step = 0; step < steps_.size(); ++step) {
      const double before_s = thread_processor_s();
      for (std::size_t d = 0; d < count; ++d)
        if (alive[d]) alive[d] = pass_step(step, batch, d);
      step_times_s_[step] += thread_processor_s() - before_s;
    }
    const double before_s = thread_processor_s();
    for (std::size_t d = 0; d < count; ++d)
      if (alive[d]) keep(batch, d);
    writing_s_ += thread_processor_s() - before_s;
  }

  void fill(CurationRecord& record) const {
    for (const StepTally& tally : tallies_) record.steps.push_back(tally.record(settings_.sources.files));
    record.documents = documents_;
    record.bytes = bytes_;
    record.languages = languages_;
    for (std::size_t i = 0; i < file_documents_.size(); ++i)
      record.sources.push_back({.path = settings_.sources.files[i], .documents = file_documents_[i]});
  }

  std::int64_t documents_in() const { return documents_in_; }
  std::int64_t documents() const { return documents_; }
  const std::vector<double>& step_times_s() const { return step_times_s_; }
  double writing_s() const { return writing_s_; }

 private:
  /// Whether the document goes on.
  bool pass_step(std::size_t step, DocumentBatch& batch, std::size_t d) {
    const std::size_t count = batch.documents.size(), at = step * count + d;
    Outcome outcome = std::move(batch.outcomes[at]);
    if (steps_[step].duplicates && steps_[step].duplicates->was_seen(batch.marks[at])) outcome = dropped(0);
    const std::int64_t bytes_in = step == 0 ? static_cast<std::int64_t>((*batch.views)[d].text.size())
                                            : batch.bytes_after[(step - 1) * count + d];
    tallies_[step].add(outcome, batch.documents[d].text(), bytes_in, batch.bytes_after[at],
                       {.file = batch.chunk.file, .line = (*batch.views)[d].line});
    return outcome.kind != Outcome::Kind::kDropped;
  }

  void keep(DocumentBatch& batch, std::size_t d) {
    const Document& document = batch.documents[d];
    ++documents_;
    bytes_ += static_cast<std::int64_t>(document.text().size());
    if (!document.language.empty()) ++languages_[document.language];
    if (folder_ != nullptr)
      folder_->add(batch.lines[d].empty() ? (*batch.views)[d].json_object : std::string_view(batch.lines[d]));
  }

  Json settings_of(std::size_t step) const {
    if (step == 0 || !settings_.recipe.contains("steps")) return Json::object();
    Json of_step = settings_.recipe.at("steps").at(step - 1);
    of_step.erase("step");
    if (steps_[step].kind == StepKind::kLanguage) of_step["detector"] = language_detector_version();
    return of_step;
  }

  const CurationSettings& settings_;
  std::vector<PassStep>& steps_;
  CuratedFolder* folder_;
  std::vector<StepTally> tallies_;
  std::vector<std::int64_t> file_documents_;
  std::atomic<std::int64_t> documents_in_ = 0, documents_ = 0;  // read for progress by another thread
  std::int64_t bytes_ = 0;
  std::map<std::string, std::int64_t> languages_;
  std::vector<double> step_times_s_;
  double writing_s_ = 0;
};

/// Finders of documents are used again: an item has one from its reading to its end.
class FinderPool {
 public:
  explicit FinderPool(const TextInputs& inputs) : inputs_(inputs) {}
  std::unique_ptr<ChunkDocuments> take() {
    const std::scoped_lock lock(mutex_);
    if (free_.empty()) return std::make_unique<ChunkDocuments>(inputs_);
    auto finder = std::move(free_.back());
    free_.pop_back();
    return finder;
  }
  void give_back(std::unique_ptr<ChunkDocuments> finder) {
    const std::scoped_lock lock(mutex_);
    free_.push_back(std::move(finder));
  }

 private:
  const TextInputs& inputs_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<ChunkDocuments>> free_;
};

void log_times(const std::deque<PassWorker>& workers, const OrderedPart& ordered, const std::vector<PassStep>& steps,
               const CurationRecord& record, Log& log) {
  double finding_s = 0, writing_s = ordered.writing_s();
  for (const PassWorker& worker : workers) {
    finding_s += worker.times().finding_s;
    writing_s += worker.times().writing_s;
  }
  log.info("processor time: finding documents {:.2f} s, writing {:.2f} s", finding_s, writing_s);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    double step_s = ordered.step_times_s()[i];
    for (const PassWorker& worker : workers) step_s += worker.times().steps_s[i];
    const auto bytes = static_cast<double>(record.steps[i].bytes_in);
    log.info("processor time: {} {:.2f} s, {:.0f} MB/s{}", record.steps[i].name, step_s,
             bytes / 1e6 / std::max(step_s, 1e-9),
             steps[i].duplicates
                 ? fmt::format(", {} of memory to know {} documents by",
                               format_bytes(static_cast<double>(steps[i].duplicates->memory_bytes())),
                               format_grouped(record.steps[i].documents_in - record.steps[i].documents_dropped))
                 : "");
  }
}

/// Sizes and SHA-256 of the sources, each wholly by one thread.
void describe_sources(std::vector<FileRecord>& sources, int threads) {
  std::size_t next = 0;
  work_in_order<FileRecord*>(
      threads,
      [&](FileRecord*& file) {
        if (next == sources.size()) return false;
        file = &sources[next++];
        return true;
      },
      [](int, FileRecord*& file) {
        file->size_bytes = static_cast<std::int64_t>(std::filesystem::file_size(file->path));
        file->sha256 = sha256_of_file(file->path);
      },
      [](FileRecord*&) {});
}

/// The record of an output that the same recipe made of the same sources, by name and size.
std::optional<CurationRecord> record_of_before(const CurationSettings& settings) {
  const std::filesystem::path path = std::filesystem::path(settings.output) / "record.json";
  std::error_code ignored;
  if (!std::filesystem::is_regular_file(path, ignored)) return std::nullopt;
  CurationRecord record = parse_record(read_text_file(path), path.string());
  const auto refuse = [&](const std::string& difference) {
    throw StorageError("{}: was made at {} {}; remove it or choose another output", settings.output, record.created,
                       difference);
  };
  if (record.recipe != settings.recipe)
    refuse(fmt::format("by another recipe ({}); the first difference is {}", record.name,
                       Json::diff(record.recipe, settings.recipe).front().value("path", "")));
  const std::vector<std::string>& files = settings.sources.files;
  if (record.sources.size() != files.size())
    refuse(fmt::format("from {} source files, now there are {}", record.sources.size(), files.size()));
  for (std::size_t i = 0; i < files.size(); ++i) {
    const FileRecord& source = record.sources[i];
    if (source.path != files[i]) refuse(fmt::format("from {}, where now {} stands", source.path, files[i]));
    const std::uintmax_t size = std::filesystem::file_size(files[i], ignored);
    if (!ignored && static_cast<std::int64_t>(size) != source.size_bytes)
      refuse(fmt::format("when {} had {} bytes, now it has {}", source.path, source.size_bytes, size));
  }
  return record;
}

}  // namespace

CurationRecord curate(const CurationSettings& settings, int threads, CurationMode mode, Log& log, const Clock& clock) {
  if (mode == CurationMode::kWrite) {
    if (auto before = record_of_before(settings)) {
      log.info("{} is there already, made by this recipe at {}", settings.output, before->created);
      return std::move(*before);
    }
  }
  TextChunkReader reader(settings.sources, kChunkBytes, kMostDocumentBytes);
  std::unique_ptr<CuratedFolder> folder;
  if (mode == CurationMode::kWrite)
    folder = std::make_unique<CuratedFolder>(settings.output, settings.part_bytes, settings.compression);
  std::vector<PassStep> steps = pass_steps(settings);
  OrderedPart ordered(settings, steps, folder.get());
  std::deque<PassWorker> workers;
  for (int i = 0; i < threads; ++i) workers.emplace_back(settings, steps);
  FinderPool finders(settings.sources);
  ProgressLines lines(log, clock);
  const auto progress = [&] {
    lines.line("curating: {} documents, {} stay, {:.0f} %", format_grouped(ordered.documents_in()),
               format_grouped(ordered.documents()),
               100.0 * static_cast<double>(reader.bytes_read()) /
                   static_cast<double>(std::max<std::int64_t>(reader.bytes_in_all(), 1)));
  };
  work_in_order<DocumentBatch>(
      threads,
      [&](DocumentBatch& batch) {
        progress();
        if (!reader.next(batch.chunk)) return false;
        batch.finder = finders.take();
        return true;
      },
      [&](int worker, DocumentBatch& batch) { workers[static_cast<std::size_t>(worker)].work(batch); },
      [&](DocumentBatch& batch) {
        ordered.consume(batch);
        finders.give_back(std::move(batch.finder));
      });

  CurationRecord record;
  record.name = settings.name;
  record.created = format_utc(clock.unix_s());
  record.stoa_version = settings.stoa_version;
  record.recipe = settings.recipe;
  ordered.fill(record);
  log_times(workers, ordered, steps, record, log);
  describe_sources(record.sources, threads);
  if (folder) {
    record.outputs = folder->finish_parts();
    folder->write_file("record.json", record_text(record));
    write_description(record, folder->path());
    folder->publish();
  }
  log.info("{}{}: {} of {} documents stay, {} of text, in {}", folder ? "" : "dry run, nothing written to ",
           settings.output, format_grouped(record.documents), format_grouped(ordered.documents_in()),
           format_bytes(static_cast<double>(record.bytes)), format_duration(lines.elapsed_s()));
  return record;
}

}  // namespace stoa::trainer
