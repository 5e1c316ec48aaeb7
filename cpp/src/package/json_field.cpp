#include "package/json_field.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::size_t kMaxDepth = 16;
constexpr std::size_t kMaxText = 256;
constexpr std::size_t kMaxMembers = 16'384;  // of one object: each is searched for among the others

std::string shortened(const std::string& text) {
  return text.size() > 80 ? text.substr(0, 77) + "..." : text;
}

/// Plain ASCII, short: values of hostile files end up in terminals.
std::string excerpt(const Json& value) {
  if (value.is_structured()) return std::string(value.type_name()) + " of " + std::to_string(value.size());
  return shortened(value.dump(-1, ' ', true, Json::error_handler_t::replace));
}

/// A key as one step of a JSON pointer.
std::string pointer_step(const std::string& key) {
  const std::string quoted = Json(key).dump(-1, ' ', true, Json::error_handler_t::replace);
  std::string step = "/";
  for (const char c : quoted.substr(1, quoted.size() - 2)) {
    if (c == '~') {
      step += "~0";
    } else if (c == '/') {
      step += "~1";
    } else {
      step += c;
    }
  }
  return shortened(step);
}

}  // namespace

Json parse_json(std::string_view text, const std::string& file) {
  std::vector<std::set<std::string>> open;  // keys seen in every object that is open; empty for arrays
  const auto watch = [&](int /*depth*/, Json::parse_event_t event, const Json& parsed) {
    switch (event) {
      case Json::parse_event_t::object_start:
      case Json::parse_event_t::array_start:
        open.emplace_back();
        if (open.size() > kMaxDepth)
          throw FormatError(file, "", "must not be nested deeper than " + std::to_string(kMaxDepth));
        break;
      case Json::parse_event_t::object_end:
      case Json::parse_event_t::array_end:
        open.pop_back();
        break;
      case Json::parse_event_t::key:
        if (!open.back().insert(parsed.get<std::string>()).second)
          throw FormatError(file + "#" + pointer_step(parsed.get<std::string>()), "", "occurs twice");
        if (open.back().size() > kMaxMembers)
          throw FormatError(file, "",
                            "no object may have more than " + std::to_string(kMaxMembers) + " members");
        break;
      case Json::parse_event_t::value:
        break;
    }
    return true;
  };
  try {
    return Json::parse(text, watch);
  } catch (const Json::parse_error& e) {
    throw FormatError(
        file, "", "is not JSON (byte " + std::to_string(e.byte) + " of " + std::to_string(text.size()) + ")");
  } catch (const Json::exception&) {
    throw FormatError(file, "", "is not JSON (a number is out of range)");
  }
}

void JsonField::fail(const std::string& bound) const { throw FormatError(path_, excerpt(*value_), bound); }

void JsonField::require_keys(std::initializer_list<const char*> required,
                             std::initializer_list<const char*> optional) const {
  if (!value_->is_object()) fail("must be an object");
  for (const char* key : required) (void)at(key);
  for (const auto& [key, value] : value_->items()) {
    const auto is_key = [&k = key](const char* known) { return k == known; };
    if (std::ranges::none_of(required, is_key) && std::ranges::none_of(optional, is_key))
      throw FormatError(path_ + pointer_step(key), excerpt(value), "is not a field of this format");
  }
}

bool JsonField::has(const char* key) const { return value_->is_object() && value_->contains(key); }

JsonField JsonField::at(const char* key) const {
  if (!value_->is_object()) fail("must be an object");
  if (!value_->contains(key)) throw FormatError(path_ + "/" + key, "", "is missing");
  return {value_->at(key), path_ + "/" + key};
}

std::vector<JsonField> JsonField::elements(std::size_t min_count, std::size_t max_count) const {
  if (!value_->is_array()) fail("must be an array");
  if (value_->size() < min_count || value_->size() > max_count)
    fail("must have " + std::to_string(min_count) + ".." + std::to_string(max_count) + " elements");
  std::vector<JsonField> fields;
  fields.reserve(value_->size());
  for (std::size_t i = 0; i < value_->size(); ++i)
    fields.emplace_back((*value_)[i], path_ + "/" + std::to_string(i));
  return fields;
}

std::vector<std::pair<std::string, JsonField>> JsonField::members(std::size_t max_count) const {
  if (!value_->is_object()) fail("must be an object");
  if (value_->size() > max_count) fail("must have at most " + std::to_string(max_count) + " members");
  std::vector<std::pair<std::string, JsonField>> fields;
  for (const auto& [key, value] : value_->items()) {
    if (key.empty() || key.size() > kMaxText)
      throw FormatError(path_ + pointer_step(key), "", "must have a name of 1..256 bytes");
    fields.emplace_back(key, JsonField(value, path_ + pointer_step(key)));
  }
  return fields;
}

bool JsonField::boolean() const {
  if (!value_->is_boolean()) fail("must be true or false");
  return value_->get<bool>();
}

std::int64_t JsonField::integer(std::int64_t min, std::int64_t max) const {
  const std::string bound = "must be a whole number in " + std::to_string(min) + ".." + std::to_string(max);
  if (!value_->is_number_integer()) fail(bound);
  if (value_->is_number_unsigned() && value_->get<std::uint64_t>() > static_cast<std::uint64_t>(INT64_MAX))
    fail(bound);
  const auto result = value_->get<std::int64_t>();
  if (result < min || result > max) fail(bound);
  return result;
}

double JsonField::number() const {
  if (!value_->is_number()) fail("must be a number");
  const auto result = value_->get<double>();
  if (!std::isfinite(result)) fail("must be finite");
  return result;
}

std::vector<double> JsonField::numbers(std::size_t max_count) const {
  std::vector<double> result;
  for (const JsonField& field : elements(0, max_count)) result.push_back(field.number());
  return result;
}

std::string JsonField::text() const {
  const auto is_control = [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; };
  const auto* s = value_->get_ptr<const std::string*>();
  if (s != nullptr && !s->empty() && s->size() <= kMaxText && std::ranges::none_of(*s, is_control)) return *s;
  fail("must be 1..256 bytes of printable text");
}

std::string JsonField::word(std::initializer_list<const char*> words) const {
  std::string choices;
  for (const char* word : words) {
    if (value_->is_string() && value_->get_ref<const std::string&>() == word) return word;
    choices += (choices.empty() ? "" : ", ") + std::string(word);
  }
  fail("must be one of " + choices);
}

}  // namespace vla_rt
