#pragma once
#include <cstdint>
#include <initializer_list>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vla_rt {

using Json = nlohmann::ordered_json;

/// Parses text that nobody vouches for. Throws FormatError naming `file` for text that is not JSON, nested
/// deeper than any file of a package is, or with a repeated key.
[[nodiscard]] Json parse_json(std::string_view text, const std::string& file);

/// A value inside a JSON file together with where it is, so that every complaint names its place as a JSON
/// pointer. All readers throw FormatError.
class JsonField {
 public:
  JsonField(const Json& value, std::string path) : value_(&value), path_(std::move(path)) {}

  [[nodiscard]] const std::string& path() const noexcept { return path_; }

  /// Checks that this is an object with exactly these keys: all of `required`, perhaps some of `optional`.
  void require_keys(std::initializer_list<const char*> required,
                    std::initializer_list<const char*> optional = {}) const;
  [[nodiscard]] bool has(const char* key) const;
  [[nodiscard]] JsonField at(const char* key) const;

  [[nodiscard]] std::vector<JsonField> elements(std::size_t min_count, std::size_t max_count) const;
  [[nodiscard]] std::vector<std::pair<std::string, JsonField>> members(std::size_t max_count) const;

  [[nodiscard]] bool is_null() const { return value_->is_null(); }
  [[nodiscard]] bool is_number() const { return value_->is_number(); }
  [[nodiscard]] bool boolean() const;
  [[nodiscard]] std::int64_t integer(std::int64_t min, std::int64_t max) const;
  [[nodiscard]] double number() const;
  [[nodiscard]] std::vector<double> numbers(std::size_t max_count) const;
  /// 1..256 bytes of printable text.
  [[nodiscard]] std::string text() const;
  /// One of `words`.
  [[nodiscard]] std::string word(std::initializer_list<const char*> words) const;

  /// Throws FormatError for this field.
  [[noreturn]] void fail(const std::string& bound) const;

 private:
  const Json* value_;
  std::string path_;
};

}  // namespace vla_rt
