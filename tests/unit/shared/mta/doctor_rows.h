// A healthy host, one change to it, and what the doctor says then: the rows of the doctor's tests.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "tests/unit/catch.h"
#include "tests/unit/shared/mta/doctor_bench.h"

namespace forcetls {

using Told = std::vector<std::string>;

/// A healthy host with our lines and one forced row, then one change.
struct Change {
  const char* what;
  std::function<void(Bench&)> make;
  Told want;
};

inline void check_all(const std::vector<Change>& rows, Release release = Release::Debian12) {
  for (const Change& row : rows) {
    INFO(row.what);
    Bench bench(release);
    bench.bolt_on().bank();
    row.make(bench);
    CHECK(bench.told() == row.want);
  }
}

/// The first finding of that name; an empty one where there is none.
inline doctor::Finding finding_of(const Bench& bench, const std::string& id) {
  for (doctor::Finding& finding : bench.findings())
    if (finding.id == id) return std::move(finding);
  return {};
}

}  // namespace forcetls
