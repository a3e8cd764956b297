// The words of the policy table as types: one row (Rule), what it demands of a connection
// (Requirement), the site's settings. Values only; where they come from is RuleStore's affair.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace forcetls {

using TimePoint = std::chrono::sys_seconds;  ///< UTC, whole seconds, as the database keeps it

/// Postfix's TLS security levels (postfix: smtp_tls_policy_maps). They have no useful order:
/// dane goes clear where there is no TLSA record, and secure, fingerprint and dane-only are
/// incomparable. Compare with is_forced() and satisfies().
enum class Level : std::uint8_t { None, May, Encrypt, Dane, DaneOnly, Fingerprint, Verify, Secure };
enum class Mode : std::uint8_t { Off, Test, Enforce };
enum class Protocol : std::uint8_t { Tls10, Tls11, Tls12, Tls13 };
enum class CipherGrade : std::uint8_t { Medium, High };
enum class InboundLevel : std::uint8_t { May, Encrypt, Verify };
enum class OnFailure : std::uint8_t { Tempfail, Reject, Reroute };

/// The spelling used in the database and by Postfix: "dane-only", "TLSv1.2", "enforce" ...
std::string_view to_text(Level level);
std::string_view to_text(Mode mode);
std::string_view to_text(Protocol protocol);
std::string_view to_text(CipherGrade grade);
std::string_view to_text(InboundLevel level);
std::string_view to_text(OnFailure action);

/// The value spelled `text`, or nothing. Exact: the database refuses other spellings.
std::optional<Level> level_from(std::string_view text);
std::optional<Mode> mode_from(std::string_view text);
std::optional<Protocol> protocol_from(std::string_view text);
std::optional<CipherGrade> grade_from(std::string_view text);
std::optional<InboundLevel> inbound_level_from(std::string_view text);
std::optional<OnFailure> on_failure_from(std::string_view text);

/// What mail to a domain must have. Views borrow from the Rule's owner. Empty = not set.
struct Requirement {
  Level level = Level::May;
  std::string_view match{};  ///< names a:b, or digests x|y at fingerprint
  Protocol min_protocol = Protocol::Tls12;
  CipherGrade ciphers = CipherGrade::High;
  std::string_view exclude{};       ///< cipher names a:b
  std::string_view tafile{};        ///< path below the MTA's queue directory
  std::string_view site_exclude{};  ///< further cipher names, of Floor; some may be in exclude too

  bool operator==(const Requirement&) const = default;
};

/// What mail from a domain must arrive with.
struct InboundRequirement {
  InboundLevel level = InboundLevel::May;
  std::string_view match{};  ///< digests or names of the client certificate
  Protocol min_protocol = Protocol::Tls12;
  int min_bits = 0;  ///< 0: no demand
};

/// One row of domain_policy. Views borrow from the RuleStore that gave it.
struct Rule {
  std::string_view key{};  ///< bank.example, .bank.example, [mx.bank.example]:587
  Mode mode = Mode::Enforce;
  Requirement outbound{.level = Level::Encrypt};
  InboundRequirement inbound{};
  OnFailure on_failure = OnFailure::Tempfail;
  std::string_view fallback{};
};

/// True where a message may leave only over TLS.
constexpr bool is_forced(Level level) {
  switch (level) {
    case Level::None:
    case Level::May:
    case Level::Dane:
      return false;
    case Level::Encrypt:
    case Level::DaneOnly:
    case Level::Fingerprint:
    case Level::Verify:
    case Level::Secure:
      return true;
  }
  return true;
}

/// A network of client addresses: 192.0.2.0/24, 2001:db8::/32, or a single address.
class Network {
 public:
  static std::optional<Network> parse(std::string_view text);
  /// `address` as the MTA writes it: 192.0.2.1, 2001:db8::1, IPv6:2001:db8::1. IPv4 mapped into
  /// IPv6 counts as IPv4. False for what is no address.
  bool contains(std::string_view address) const;

 private:
  std::vector<std::uint8_t> bytes_;
  unsigned prefix_bits_ = 0;
};

enum class DefaultOutbound : std::uint8_t { Unset, Encrypt, Learn };
enum class UnlistedRelay : std::uint8_t { Unset, Encrypt };
enum class ClearSubmission : std::uint8_t { Tempfail, Accept };
enum class TlsRequiredHeader : std::uint8_t { Auto, Reject, Tempfail, Ignore };

/// What the MTA's own configuration demands of every forced connection. Our answers replace its
/// values, so they keep to these: setup records them (postfix: smtp_tls_mandatory_ciphers ...). The
/// defaults demand nothing.
struct Floor {
  std::string exclude;  ///< cipher names a:b
  Protocol min_protocol = Protocol::Tls10;
  CipherGrade ciphers = CipherGrade::Medium;

  bool operator==(const Floor&) const = default;
};

/// The table `setting`. The defaults here are the table's.
struct Settings {
  DefaultOutbound default_outbound = DefaultOutbound::Unset;
  UnlistedRelay unlisted_relay = UnlistedRelay::Unset;
  ClearSubmission clear_submission = ClearSubmission::Tempfail;
  TlsRequiredHeader tls_required_header = TlsRequiredHeader::Auto;
  std::vector<Network> trusted_clients;
  std::vector<std::string> own_domains;  ///< lower-case A-labels; ".example" covers sub-domains
  std::vector<std::string> enforcing_transports;
  Floor floor;

  /// Takes one row of the table. False: the value is not one that this setting can have. A name
  /// that this program has no use for is taken (other programs have), and changes nothing.
  bool set(std::string_view name, std::string_view value);

  bool is_trusted(std::string_view client_address) const;
  bool is_own(std::string_view domain) const;
  bool is_enforcing(std::string_view transport) const;
};

}  // namespace forcetls
