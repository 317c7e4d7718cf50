#pragma once
/// A machine that experiments run on, from a file in configs/machines/: what a node has, what it draws, what it costs.
#include <cstdint>
#include <string>
#include <vector>

#include "stoa/cluster/slurm_settings.h"

namespace stoa::cluster {

/// A figure and where it comes from; printed beside every number derived from it.
struct Sourced {
  double value = 0;
  std::string source;
};

struct MachineSettings {
  std::string name;
  std::string description;

  struct Node {
    int processors = 0;
    double memory_gib = 0;
    int accelerators = 0;
    std::string accelerator;  ///< "NVIDIA A100-SXM4-40GB"; empty: none
    double accelerator_memory_gib = 0;
  } node;

  /// What is charged: core-hours or accelerator-hours, at this price each.
  struct Rate {
    std::string resource;  ///< "core" or "accelerator"
    double price = 0;      ///< per resource-hour, in `currency`
    std::string currency;  ///< "EUR"
    std::string source;
  } rate;

  struct Power {
    Sourced idle_w;  ///< whole node
    Sourced busy_w;  ///< whole node under a training load
    Sourced pue;     ///< facility power / IT power
  } power;

  Sourced grid_g_per_kwh;  ///< grams of CO2-equivalent per kWh

  /// Peaks of one resource (core or accelerator), for model-FLOPs utilisation. 0 where it is to be measured at start.
  Sourced peak_fp32_gflops;
  Sourced peak_bf16_gflops;

  SlurmSettings slurm;  ///< the site's defaults of an experiment's `cluster:` keys
};

}  // namespace stoa::cluster
