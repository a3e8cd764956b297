// A policy as a test writes it down: rows, suspensions and settings with strings of their own.
//
//   FakeRuleStore store{{.key = "bank.example", .outbound = Level::Secure}};
//   store.suspend({.key = "bank.example", .level = Level::May, .ends_at = at(60)});
//   store.mutable_settings().unlisted_relay = UnlistedRelay::Encrypt;
#pragma once

#include <algorithm>
#include <chrono>
#include <deque>
#include <functional>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "shared/core/rule_store.h"

namespace forcetls {

/// A moment of the tests' day: `seconds` after noon on 2026-01-01, UTC.
constexpr TimePoint at(int seconds) {
  using namespace std::chrono;
  return sys_days{year{2026} / January / 1} + hours{12} + std::chrono::seconds{seconds};
}

/// One row of domain_policy with the table's defaults.
struct FakeRule {
  std::string key{};
  Mode mode = Mode::Enforce;
  Level outbound = Level::Encrypt;
  std::string match{};
  Protocol min_protocol = Protocol::Tls12;  ///< both directions
  CipherGrade ciphers = CipherGrade::High;
  std::string exclude{};
  std::string tafile{};
  InboundLevel inbound = InboundLevel::May;
  std::string inbound_match{};
  int min_bits = 0;
  OnFailure on_failure = OnFailure::Tempfail;
  std::string fallback{};
};

/// One row of suspension: in force from `starts_at` until just before `ends_at`.
struct FakeSuspension {
  std::string key{};
  Level level = Level::Encrypt;
  TimePoint starts_at = at(0);
  TimePoint ends_at = at(3600);
};

/// Keeps the contract of RuleStore. Fill it before others read it; then any thread may.
class FakeRuleStore : public RuleStore {
 public:
  FakeRuleStore() = default;
  FakeRuleStore(std::initializer_list<FakeRule> rules) : rules_(rules) {}

  FakeRuleStore& add(FakeRule rule) {
    rules_.push_back(std::move(rule));
    return *this;
  }
  FakeRuleStore& suspend(FakeSuspension suspension) {
    suspensions_.push_back(std::move(suspension));
    return *this;
  }
  Settings& mutable_settings() { return settings_; }

  std::optional<Rule> find_rule(std::string_view key) const override {
    for (const FakeRule& rule : rules_)
      if (rule.key == key && rule.mode != Mode::Off) return as_rule(rule);
    return std::nullopt;
  }

  std::optional<Level> active_cap(std::string_view key, TimePoint now) const override {
    std::optional<Level> cap;
    for (const FakeSuspension& suspension : suspensions_) {
      if (suspension.key != key || now < suspension.starts_at || now >= suspension.ends_at)
        continue;
      if (!cap || suspension.level == Level::Encrypt) cap = suspension.level;
    }
    return cap;
  }

  const Settings& settings() const override { return settings_; }
  bool enforces_nothing() const override {
    return std::none_of(rules_.begin(), rules_.end(),
                        [](const FakeRule& rule) { return rule.mode == Mode::Enforce; });
  }
  void for_each_rule(const std::function<void(const Rule&)>& visit) const override {
    for (const FakeRule& rule : rules_)
      if (rule.mode != Mode::Off) visit(as_rule(rule));
  }

 protected:
  static Rule as_rule(const FakeRule& rule) {
    return {.key = rule.key,
            .mode = rule.mode,
            .outbound = {.level = rule.outbound,
                         .match = rule.match,
                         .min_protocol = rule.min_protocol,
                         .ciphers = rule.ciphers,
                         .exclude = rule.exclude,
                         .tafile = rule.tafile},
            .inbound = {.level = rule.inbound,
                        .match = rule.inbound_match,
                        .min_protocol = rule.min_protocol,
                        .min_bits = rule.min_bits},
            .on_failure = rule.on_failure,
            .fallback = rule.fallback};
  }

  std::deque<FakeRule> rules_;  ///< a deque, so that views into a row outlive add()

 private:
  std::deque<FakeSuspension> suspensions_;
  Settings settings_;
};

}  // namespace forcetls
