#include "ctl/setup_backup.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "ctl/file_io.h"

namespace forcetls {
namespace {

/// Back in this order: a service loses what it has of its own only after main.cf is what it was.
constexpr std::array<const char*, 2> kFiles{"main.cf", "master.cf"};
/// And there in this one.
constexpr std::array<const char*, 2> kFilesForward{"master.cf", "main.cf"};
constexpr mode_t kPrivateDirectory = 0700;
constexpr mode_t kPrivateFile = 0600;
constexpr int kFormat = 1;

const std::string& text_of(const ConfigTexts& texts, std::string_view file) {
  return file == "main.cf" ? texts.main_cf : texts.master_cf;
}

FileLook private_look() { return {::geteuid(), ::getegid(), kPrivateFile, {}}; }

}  // namespace

Result<ConfigTexts> read_config_texts(const std::string& directory) {
  auto main_cf = read_file(directory + "/main.cf");
  if (!main_cf) return fail(std::move(main_cf).error());
  auto master_cf = read_file(directory + "/master.cf");
  if (!master_cf) return fail(std::move(master_cf).error());
  return ConfigTexts{*std::move(main_cf), *std::move(master_cf)};
}

std::string SetupManifest::to_json() const {
  nlohmann::ordered_json json;
  json["format"] = kFormat;
  json["complete"] = complete;
  json["generations"] = generations;
  json["created"] = created;
  json["earlier"] = earlier;
  json["settings"] = nlohmann::ordered_json::object();
  for (const auto& [name, setting] : settings)
    json["settings"][name] = {{"before", setting.before}, {"after", setting.after}};
  return json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

Result<SetupManifest> SetupManifest::parse(const std::string& text) try {
  const auto json = nlohmann::ordered_json::parse(text);
  if (json.at("format").get<int>() != kFormat)
    return fail(ErrorCode::Malformed, "is of another version of forcetls");
  SetupManifest manifest;
  json.at("complete").get_to(manifest.complete);
  json.at("generations").get_to(manifest.generations);
  json.at("created").get_to(manifest.created);
  json.at("earlier").get_to(manifest.earlier);
  for (const auto& [name, setting] : json.at("settings").items())
    manifest.settings[name] = {setting.at("before").get<std::string>(),
                               setting.at("after").get<std::string>()};
  return manifest;
} catch (const nlohmann::ordered_json::exception&) {
  return fail(ErrorCode::Malformed, "is damaged");
}

bool SetupManifest::has_made(const std::string& path) const {
  return std::find(created.begin(), created.end(), path) != created.end() ||
         std::find(earlier.begin(), earlier.end(), path) != earlier.end();
}

void SetupManifest::take_over(const SetupManifest& older) {
  settings = older.settings;
  earlier = older.earlier;
  earlier.insert(earlier.end(), older.created.begin(), older.created.end());
}

Result<std::optional<SetupManifest>> SetupBackup::manifest() const {
  const std::string path = directory_ + "/manifest.json";
  const auto text = read_file(path);
  if (!text && text.error().code == ErrorCode::NotFound) return std::nullopt;
  if (!text) return fail(text.error());
  auto manifest = SetupManifest::parse(*text);
  if (!manifest) return fail(within(path, std::move(manifest).error()));
  return *std::move(manifest);
}

Result<std::string> SetupBackup::changed_file(const SetupManifest& manifest) const {
  for (const std::string file : kFiles) {
    const auto now = read_file(config_directory_ + "/" + file);
    if (!now) return fail(now.error());
    std::vector<std::string> known{directory_ + "/" + file};
    for (const int generation : manifest.generations)
      known.push_back(fmt::format("{}/{}.{}", directory_, file, generation));
    if (std::none_of(known.begin(), known.end(), [&](const std::string& path) {
          const auto text = read_file(path);
          return text && *text == *now;
        }))
      return config_directory_ + "/" + file;
  }
  return std::string();
}

Result<SetupManifest> SetupBackup::begin() const {
  if (auto removed = remove(); !removed) return fail(removed.error());
  if (auto made = make_directories(directory_, kPrivateDirectory); !made) return fail(made.error());
  for (const std::string file : kFiles) {
    const auto text = read_file(config_directory_ + "/" + file);
    if (!text) return fail(text.error());
    const auto look = look_of(config_directory_ + "/" + file);
    if (!look) return fail(look.error());
    if (auto kept = replace_file(directory_ + "/" + file, *text, *look); !kept)
      return fail(kept.error());
  }
  return SetupManifest{};
}

Result<void> SetupBackup::save(const SetupManifest& manifest) const {
  return replace_file(directory_ + "/manifest.json", manifest.to_json(), private_look());
}

Result<void> SetupBackup::announce(SetupManifest& manifest, const ConfigTexts& next) const {
  const int generation = manifest.generations.empty() ? 1 : manifest.generations.back() + 1;
  for (const std::string file : kFiles) {
    const std::string path = fmt::format("{}/{}.{}", directory_, file, generation);
    if (auto kept = replace_file(path, text_of(next, file), private_look()); !kept) return kept;
  }
  manifest.generations.push_back(generation);
  manifest.complete = false;
  return save(manifest);
}

Result<void> SetupBackup::put(const char* file, const ConfigTexts& texts) const {
  const std::string path = config_directory_ + "/" + file;
  auto look = look_of(path);
  if (!look) return fail(look.error());
  const auto now = read_file(path);
  if (now && *now == text_of(texts, file)) return {};
  look->modified.reset();
  return replace_file(path, text_of(texts, file), *look);
}

Result<void> SetupBackup::replace(const ConfigTexts& next) const {
  for (const char* file : kFilesForward)
    if (auto done = put(file, next); !done) return done;
  return {};
}

Result<void> SetupBackup::take_back(const ConfigTexts& before) const {
  for (const char* file : kFiles)
    if (auto done = put(file, before); !done) return done;
  return {};
}

Result<void> SetupBackup::finish(SetupManifest& manifest) const {
  const std::vector<int> all = manifest.generations;
  manifest.generations = {all.back()};
  manifest.complete = true;
  if (auto saved = save(manifest); !saved) return saved;
  for (const int generation : all)
    for (const std::string file : kFiles)
      if (generation != all.back())
        static_cast<void>(remove_file(fmt::format("{}/{}.{}", directory_, file, generation)));
  return {};
}

Result<void> SetupBackup::restore() const {
  for (const std::string file : kFiles) {
    const auto text = read_file(directory_ + "/" + file);
    if (!text) return fail(text.error());
    const auto look = look_of(directory_ + "/" + file);
    if (!look) return fail(look.error());
    if (auto done = replace_file(config_directory_ + "/" + file, *text, *look); !done) return done;
  }
  return {};
}

Result<void> SetupBackup::remove() const {
  if (auto removed = remove_file(directory_ + "/manifest.json"); !removed) {
    if (removed.error().code == ErrorCode::NotFound) return {};
    return removed;
  }
  std::error_code failed;
  std::filesystem::remove_all(directory_, failed);
  if (failed) return fail(ErrorCode::System, directory_ + ": " + failed.message());
  return sync_directory(config_directory_);
}

Result<std::string> SetupBackup::put_aside() const {
  for (int number = 1;; ++number) {
    const std::string name = fmt::format("{}.{}", directory_, number);
    std::error_code failed;
    if (std::filesystem::exists(name, failed)) continue;
    if (::rename(directory_.c_str(), name.c_str()) != 0) return file_failure(directory_);
    if (auto synced = sync_directory(config_directory_); !synced) return fail(synced.error());
    return name;
  }
}

Result<void> SetupBackup::take_up(const std::string& aside) const {
  if (::rename(aside.c_str(), directory_.c_str()) != 0) return file_failure(aside);
  return sync_directory(config_directory_);
}

}  // namespace forcetls
