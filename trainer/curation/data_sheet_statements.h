#pragma once
/// What a person says of a data set in the recipe of its curation, for the data sheet and the Croissant description.
#include <optional>
#include <string>

#include "stoa/trainer/settings.h"

namespace stoa::trainer {

/// Keys of the recipe; empty: not said.
struct DataSheetStatements {
  std::string description;     ///< what it is and what for
  std::string creator;         ///< people or institution
  std::string license;         ///< name or, better, the URL at spdx.org
  std::string url;             ///< where it is or will be published
  std::string version;         ///< MAJOR.MINOR.PATCH (semver.org)
  std::string citation;        ///< best as BibTeX
  std::string date_published;  ///< YYYY-MM-DD
};

/// A version or date that is not of its form.
std::optional<Impossible> check_statements(const DataSheetStatements& statements);

}  // namespace stoa::trainer
