// The backup of setup: whenever the program stops, what is in place is something that it knows.
#include "ctl/setup_backup.h"

#include <stdlib.h>
#include <unistd.h>

#include <filesystem>

#include "ctl/file_io.h"
#include "tests/unit/catch.h"

using namespace forcetls;

namespace {

const ConfigTexts kBefore{"a = 1\n# a comment\n", "smtp unix - - y - - smtp\n"};
const ConfigTexts kAfter{"a = 2\n", "smtp unix - - y - - smtp -o a=b\n"};
const ConfigTexts kLater{"a = 3\n", kAfter.master_cf};

/// A configuration directory with kBefore in it.
class Directory {
 public:
  Directory() {
    REQUIRE(::mkdtemp(path_.data()) != nullptr);
    put(kBefore);
  }
  ~Directory() { std::filesystem::remove_all(path_); }
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;

  const std::string& path() const { return path_; }
  void put(const ConfigTexts& texts) const {
    write("main.cf", texts.main_cf);
    write("master.cf", texts.master_cf);
  }
  void write(const std::string& name, const std::string& text) const {
    const FileLook look{::geteuid(), ::getegid(), 0640, timespec{1'000'000'000, 123'456'789}};
    REQUIRE(replace_file(path_ + "/" + name, text, look));
  }
  ConfigTexts texts() const { return read_config_texts(path_).value(); }

 private:
  std::string path_ = "/tmp/setup_backup_test.XXXXXX";
};

}  // namespace

TEST_CASE("SetupManifest: what is written is read; anything else is an error", "[ctl][setup]") {
  SetupManifest manifest;
  manifest.complete = true;
  manifest.generations = {3, 4};
  manifest.created = {"/etc/postfix/forcetls-delivery-status"};
  manifest.earlier = {"/var/spool/postfix/etc/anchor.pem"};
  manifest.settings["floor_ciphers"] = {"", "high"};
  const auto read = SetupManifest::parse(manifest.to_json());
  REQUIRE(read);
  CHECK(read->to_json() == manifest.to_json());
  for (const char* text : {"", "{}", "[]", "null", "{\"format\": 2}", "{\"format\": \"1\"}",
                           "{\"format\": 1, \"complete\": true}",
                           "{\"format\":1,\"complete\":1,\"generations\":[\"x\"],\"created\":[],"
                           "\"earlier\":[],\"settings\":{}}",
                           "{\"format\":1,\"complete\":true,\"generations\":[1],\"created\":[],"
                           "\"earlier\":[],\"settings\":{\"a\":\"b\"}}"}) {
    INFO(text);
    const auto damaged = SetupManifest::parse(text);
    REQUIRE_FALSE(damaged);
    CHECK(damaged.error().code == ErrorCode::Malformed);
  }
}

TEST_CASE("SetupManifest: what an older one knows is not lost", "[ctl][setup]") {
  SetupManifest older;
  older.complete = true;
  older.generations = {4};
  older.created = {"/etc/postfix/table"};
  older.earlier = {"/anchor.pem"};
  older.settings["floor_ciphers"] = {"", "high"};
  SetupManifest manifest;
  manifest.take_over(older);
  CHECK(manifest.settings["floor_ciphers"].after == "high");
  CHECK(manifest.has_made("/etc/postfix/table"));
  CHECK(manifest.has_made("/anchor.pem"));
  CHECK_FALSE(manifest.has_made("/etc/postfix/main.cf"));
  // What the files of before may need stays when they come back.
  CHECK(manifest.created.empty());
  CHECK(manifest.generations.empty());
  CHECK_FALSE(manifest.complete);
}

TEST_CASE("SetupBackup: without a manifest there is no backup", "[ctl][setup]") {
  const Directory directory;
  const SetupBackup backup(directory.path());
  CHECK_FALSE(backup.manifest().value());
  REQUIRE(backup.begin());
  CHECK_FALSE(backup.manifest().value());
  CHECK(directory.texts() == kBefore);
  REQUIRE(backup.remove());
  CHECK_FALSE(std::filesystem::exists(backup.directory()));
}

TEST_CASE("SetupBackup: at every step what is in place is known, and can be taken back",
          "[ctl][setup]") {
  const int steps = GENERATE(1, 2, 3, 4, 5, 6, 7);
  INFO(steps << " steps");
  const Directory directory;
  const SetupBackup backup(directory.path());
  const auto look = look_of(directory.path() + "/main.cf").value();
  auto manifest = backup.begin().value();
  if (steps >= 1) REQUIRE(backup.announce(manifest, kAfter));
  if (steps >= 2) directory.write("main.cf", kAfter.main_cf);
  if (steps >= 3) REQUIRE(backup.replace(kAfter));
  if (steps >= 4) REQUIRE(backup.finish(manifest));
  if (steps >= 5) REQUIRE(backup.announce(manifest, kLater));
  if (steps >= 6) REQUIRE(backup.replace(kLater));
  if (steps >= 7) REQUIRE(backup.finish(manifest));

  const auto found = backup.manifest().value();
  REQUIRE(found);
  CHECK(found->complete == (steps == 4 || steps == 7));
  CHECK(backup.changed_file(*found).value().empty());
  REQUIRE(backup.restore());
  CHECK(directory.texts() == kBefore);
  const auto restored = look_of(directory.path() + "/main.cf").value();
  CHECK(restored.mode == look.mode);
  CHECK(restored.modified->tv_sec == look.modified->tv_sec);
  CHECK(restored.modified->tv_nsec == look.modified->tv_nsec);
}

TEST_CASE("SetupBackup: master.cf goes there first, and comes back last", "[ctl][setup]") {
  const Directory directory;
  const SetupBackup backup(directory.path());
  // Where the draft of a file would be written is something that cannot be removed.
  const auto block = [&](const std::string& file) {
    std::filesystem::create_directory(directory.path() + "/" + file + ".forcetls-new");
  };
  const ConfigTexts half{kBefore.main_cf, kAfter.master_cf};
  block("main.cf");
  CHECK_FALSE(backup.replace(kAfter));
  CHECK(directory.texts() == half);
  std::filesystem::remove(directory.path() + "/main.cf.forcetls-new");
  directory.put(kAfter);
  block("master.cf");
  CHECK_FALSE(backup.take_back(kBefore));
  CHECK(directory.texts() == half);
}

TEST_CASE("SetupBackup: what a hand changed is named", "[ctl][setup]") {
  const Directory directory;
  const SetupBackup backup(directory.path());
  auto manifest = backup.begin().value();
  REQUIRE(backup.announce(manifest, kAfter));
  REQUIRE(backup.replace(kAfter));
  REQUIRE(backup.finish(manifest));
  directory.write("master.cf", "# mine\n");
  CHECK(backup.changed_file(manifest).value() == directory.path() + "/master.cf");
  directory.write("main.cf", "");
  CHECK(backup.changed_file(manifest).value() == directory.path() + "/main.cf");
  directory.put(kBefore);
  CHECK(backup.changed_file(manifest).value().empty());
  // What an --apply before the last one wrote is no longer known.
  REQUIRE(backup.announce(manifest, kLater));
  REQUIRE(backup.finish(manifest));
  directory.put(kAfter);
  CHECK(backup.changed_file(manifest).value() == directory.path() + "/main.cf");
}

TEST_CASE("SetupBackup: an older backup is put aside, each under a name of its own",
          "[ctl][setup]") {
  const Directory directory;
  const SetupBackup backup(directory.path());
  for (const char* name : {".1", ".2"}) {
    auto manifest = backup.begin().value();
    REQUIRE(backup.announce(manifest, kAfter));
    CHECK(backup.put_aside().value() == backup.directory() + name);
    CHECK_FALSE(backup.manifest().value());
  }
}

TEST_CASE("SetupBackup: only its owner can look into it", "[ctl][setup]") {
  const Directory directory;
  const SetupBackup backup(directory.path());
  auto manifest = backup.begin().value();
  REQUIRE(backup.announce(manifest, kAfter));
  CHECK(look_of(backup.directory()).value().mode == 0700);
}

TEST_CASE("replace_file: writes through a link, leaves nothing behind", "[ctl][setup]") {
  const Directory directory;
  const std::string link = directory.path() + "/link";
  std::filesystem::create_symlink("main.cf", link);
  directory.write("link", "through\n");
  CHECK(std::filesystem::is_symlink(link));
  CHECK(directory.texts().main_cf == "through\n");
  // A draft that a crash left is in nobody's way.
  directory.write("main.cf.forcetls-new", "half");
  directory.write("main.cf", "whole\n");
  CHECK_FALSE(std::filesystem::exists(directory.path() + "/main.cf.forcetls-new"));
  const auto failed = replace_file(directory.path() + "/no/such/file", "x", FileLook{});
  REQUIRE_FALSE(failed);
  CHECK(failed.error().code == ErrorCode::NotFound);
}

TEST_CASE("remove_file: takes away what a broken-off replace_file left, too", "[ctl][setup]") {
  const Directory directory;
  const std::string table = directory.path() + "/table";
  REQUIRE(replace_file(table + ".forcetls-new", "half", FileLook{}));
  REQUIRE(remove_file(table));
  CHECK_FALSE(std::filesystem::exists(table + ".forcetls-new"));
}

TEST_CASE("read_file: what is no file of a sane size is an error", "[ctl][setup]") {
  const Directory directory;
  CHECK(read_file(directory.path() + "/none").error().code == ErrorCode::NotFound);
  CHECK(read_file(directory.path()).error().code == ErrorCode::System);
  std::filesystem::resize_file(directory.path() + "/main.cf", 17U << 20U);
  CHECK(read_file(directory.path() + "/main.cf").error().code == ErrorCode::TooLong);
}
