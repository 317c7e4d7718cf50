#include "stoa/cluster/price.h"

#include <cmath>
#include <limits>

#include "stoa/base/error.h"

namespace stoa::cluster {
namespace {

__extension__ using Int128 = __int128;

constexpr double kJoulesPerKwh = 3.6e6;
/// A rate in billionths per hour times thousandths of a resource-second, over this, is millionths of the currency.
constexpr Int128 kRateDivisor = Int128{3'600'000} * 1'000;
/// No plausible rate comes near; below it the product with any 64-bit amount fits 128 bits.
constexpr double kLargestRate = 1e9;

/// REQUIRES: amount >= 0, divisor > 0.
Int128 divide_half_even(Int128 amount, Int128 divisor) {
  const Int128 quotient = amount / divisor;
  const Int128 twice_rest = amount % divisor * 2;
  const bool up = twice_rest > divisor || (twice_rest == divisor && quotient % 2 != 0);
  return quotient + (up ? 1 : 0);
}

std::int64_t narrow(Int128 amount, const std::string& what) {
  if (amount > std::numeric_limits<std::int64_t>::max() || amount < std::numeric_limits<std::int64_t>::min())
    throw ConfigError("{} does not fit 64 bits: times, resources or the rate are out of range", what);
  return static_cast<std::int64_t>(amount);
}

std::int64_t rate_nanos(const MachineSettings& machine) {
  const double rate = machine.rate.price;
  if (!(rate >= 0 && rate < kLargestRate))
    throw ConfigError("machine {}: rate.price {} must be at least 0 and below {:.0f}", machine.name, rate,
                      kLargestRate);
  return std::llround(rate * 1e9);
}

std::string agreed_currency(const Price& a, const Price& b) {
  if (a.currency.empty()) return b.currency;
  if (b.currency.empty() || a.currency == b.currency) return a.currency;
  throw ConfigError("a price in {} cannot be added to one in {}", b.currency, a.currency);
}

std::string agreed_source(const Price& a, const Price& b) {
  if (a.energy_source.empty()) return b.energy_source;
  if (b.energy_source.empty() || a.energy_source == b.energy_source) return a.energy_source;
  return "mixed";
}

}  // namespace

Price price(const UsageRecord& record, const MachineSettings& machine) {
  if (record.end_unix_ms < record.begin_unix_ms)
    throw ConfigError("run {}, attempt {}: ends at {} ms, before it begins at {} ms", record.run, record.attempt,
                      record.end_unix_ms, record.begin_unix_ms);
  if (record.resources <= 0)
    throw ConfigError("run {}, attempt {}: holds {} {}s, at least 1 is needed", record.run, record.attempt,
                      record.resources, machine.rate.resource);
  const Int128 elapsed_ms = Int128{record.end_unix_ms} - record.begin_unix_ms;
  const std::string what = fmt::format("run {}, attempt {}: the amount", record.run, record.attempt);

  Price result;
  result.resource_millis = narrow(elapsed_ms * record.resources, what);
  result.money_micros =
      narrow(divide_half_even(Int128{result.resource_millis} * rate_nanos(machine), kRateDivisor), what);
  result.currency = machine.rate.currency;
  result.energy_kwh = record.energy_j / kJoulesPerKwh;
  result.facility_kwh = result.energy_kwh * machine.power.pue.value;
  result.co2e_g = result.facility_kwh * machine.grid_g_per_kwh.value;
  result.energy_source = record.energy_source;
  return result;
}

Price operator+(const Price& a, const Price& b) {
  Price sum;
  sum.resource_millis = narrow(Int128{a.resource_millis} + b.resource_millis, "a sum of usage");
  sum.money_micros = narrow(Int128{a.money_micros} + b.money_micros, "a sum of money");
  sum.currency = agreed_currency(a, b);
  sum.energy_kwh = a.energy_kwh + b.energy_kwh;
  sum.facility_kwh = a.facility_kwh + b.facility_kwh;
  sum.co2e_g = a.co2e_g + b.co2e_g;
  sum.energy_source = agreed_source(a, b);
  return sum;
}

}  // namespace stoa::cluster
