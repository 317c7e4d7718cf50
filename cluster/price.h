#pragma once
/// What a finished piece of work cost: a pure function of its record and a rate. Amounts are integers in thousandths of
/// a resource-second; hours and money appear in display and here, rounded half-even once per record x rate x resource.
#include <cstdint>
#include <string>

#include "stoa/cluster/machine.h"

namespace stoa::cluster {

/// One attempt as it ran: what a scheduler's row or a local attempt's outcome gives.
struct UsageRecord {
  std::string run;
  std::string attempt;
  std::int64_t begin_unix_ms = 0;
  std::int64_t end_unix_ms = 0;
  std::int64_t resources = 0;  ///< cores or accelerators held
  double energy_j = 0;
  std::string energy_source;  ///< "modelled", "measured (rapl)"
};

struct Price {
  std::int64_t resource_millis = 0;  ///< thousandths of a resource-second
  std::int64_t money_micros = 0;     ///< millionths of the currency
  std::string currency;
  double energy_kwh = 0;    ///< at the node
  double facility_kwh = 0;  ///< times PUE
  double co2e_g = 0;
  std::string energy_source;

  double resource_hours() const { return static_cast<double>(resource_millis) / 3.6e6; }
  double money() const { return static_cast<double>(money_micros) * 1e-6; }
};

/// money_micros = half-even(resource_millis x rate), where the rate per resource-hour is first fixed to the nearest
/// billionth of the currency: from there on everything is integers of up to 128 bits. Energy is a physical estimate and
/// stays a double. ConfigError where the record ends before it begins, holds no resources, or does not fit 64 bits.
Price price(const UsageRecord& record, const MachineSettings& machine);
/// Sums of integers stay integers, so that their order does not matter; Price{} is the zero. Energy sources that differ
/// give "mixed"; currencies that differ, or a sum beyond 64 bits, are a ConfigError.
Price operator+(const Price& a, const Price& b);

}  // namespace stoa::cluster
