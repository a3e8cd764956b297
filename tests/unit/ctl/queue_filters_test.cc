// What a queue file says of its filter; nothing that a user wrote can pass for a record.
#include "ctl/queue_filters.h"

#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>

#include "tests/unit/catch.h"

using namespace forcetls;

namespace {

std::string record(char type, const std::string& text) {
  std::string bytes(1, type);
  std::size_t size = text.size();
  for (; size > 0x7f; size >>= 7) bytes += static_cast<char>((size & 0x7f) | 0x80);
  return bytes + static_cast<char>(size) + text;
}

class QueueFile {
 public:
  QueueFile() { REQUIRE(::mkdtemp(directory_.data()) != nullptr); }
  ~QueueFile() { std::filesystem::remove_all(directory_); }
  QueueFile(const QueueFile&) = delete;
  QueueFile& operator=(const QueueFile&) = delete;

  std::string path() const { return directory_ + "/4XyZ"; }
  std::string filter(const std::string& bytes) const {
    std::ofstream(path(), std::ios::binary) << bytes;
    return filter_in_queue_file(path());
  }

 private:
  std::string directory_ = "/tmp/queue_filters_test.XXXXXX";
};

/// A message as cleanup(8) leaves it: envelope, text, and what was found in the text.
std::string message(const std::string& envelope, const std::string& text,
                    const std::string& extracted) {
  const std::string start = envelope + record('M', "");
  char size[64];
  const std::size_t begin = record('C', std::string(31, ' ')).size() + start.size();
  std::snprintf(size, sizeof size, "%15zu %15zu", text.size(), begin);
  return record('C', size) + start + text + record('X', "") + extracted + record('E', "");
}

}  // namespace

TEST_CASE("filter_in_queue_file: the last record counts", "[ctl][doctor]") {
  const QueueFile file;
  const std::string text = record('N', "Subject: x") + record('L', "smtp:[in.the.text]");
  CHECK(file.filter(message(record('L', "smtp:[a]"), text, "")) == "smtp:[a]");
  CHECK(file.filter(message(record('L', "smtp:[a]"), text, record('L', "smtp:[b]"))) == "smtp:[b]");
  CHECK(file.filter(message(record('S', "a@b"), text, record('L', "smtp:[b]"))) == "smtp:[b]");
  CHECK(file.filter(message(record('S', std::string(300, 'x')), text, "")).empty());
}

TEST_CASE("filter_in_queue_file: a user's own name is no record", "[ctl][doctor]") {
  const QueueFile file;
  const std::string name = record('F', "x\ncontent_filter: smtp:[127.0.0.1]:25");
  CHECK(file.filter(message(record('L', "smtp:[a]") + name, "", "")) == "smtp:[a]");
  CHECK(file.filter(message(name, "", "")).empty());
}

TEST_CASE("filter_in_queue_file: pointers are followed, not for ever", "[ctl][doctor]") {
  const QueueFile file;
  const std::string pointer = record('p', "              0");
  const std::string head = record('S', "a@b");
  const std::string jump = record('p', std::to_string(100));
  std::string bytes = head + jump;
  bytes.resize(100, '\0');
  CHECK(file.filter(bytes + record('L', "smtp:[a]") + record('E', "")) == "smtp:[a]");
  CHECK(file.filter(head + pointer + record('L', "smtp:[b]") + record('E', "")) == "smtp:[b]");
  CHECK(file.filter(head + record('p', std::to_string(head.size()))).empty());
}

TEST_CASE("filter_in_queue_file: anything else has no filter", "[ctl][doctor]") {
  const QueueFile file;
  CHECK(file.filter("").empty());
  CHECK(file.filter("L").empty());
  CHECK(file.filter("L\x05smtp").empty());
  CHECK(file.filter("L\xff\xff\xff\xff\xff\xff").empty());
  std::filesystem::remove(file.path());
  std::filesystem::create_symlink("/etc/passwd", file.path());
  CHECK(filter_in_queue_file(file.path()).empty());
  std::filesystem::remove(file.path());
  REQUIRE(::mkfifo(file.path().c_str(), 0600) == 0);
  CHECK(filter_in_queue_file(file.path()).empty());
}
