#include <array>
#include <limits>
#include <nlohmann/json.hpp>
#include <unordered_map>

#include "tokenization/bounded_json.hpp"
#include "vla_rt/core/errors.hpp"
#include "vla_rt/tokenization/byte_pair_encoder.hpp"

namespace vla_rt {
namespace {

using nlohmann::json;

// GPT-2 writes each byte as a printable character: itself where it is one, U+0100 upwards for the others in
// turn.
std::array<std::string, 256> printable_bytes() {
  std::array<std::string, 256> all;
  int next = 0x100;
  for (int byte = 0; byte < 256; ++byte) {
    const bool printable = (byte >= '!' && byte <= '~') || (byte >= 0xA1 && byte <= 0xAC) || byte >= 0xAE;
    const int c = printable ? byte : next++;
    std::string& text = all[static_cast<std::size_t>(byte)];
    if (c >= 0x80) text.push_back(static_cast<char>(0xC0 | (c >> 6)));
    text.push_back(static_cast<char>(c < 0x80 ? c : 0x80 | (c & 0x3F)));
  }
  return all;
}

// What a token spells: its characters as bytes; a token with any other character spells itself, as in
// `tokenizers`.
std::string spelled(const std::string& token, const std::unordered_map<std::string, char>& byte_of) {
  std::string bytes;
  for (std::size_t i = 0; i < token.size();) {
    const std::size_t length =
        static_cast<unsigned char>(token[i]) < 0x80 ? 1 : 2;  // longer characters are no bytes
    const auto found = byte_of.find(token.substr(i, length));
    if (found == byte_of.end()) return token;
    bytes.push_back(found->second);
    i += length;
  }
  return bytes;
}

[[noreturn]] void refuse(const std::string& field, const json& value, const std::string& bound) {
  std::string text = value.is_null() ? "null" : value.dump(-1, ' ', true, json::error_handler_t::replace);
  if (text.size() > 40) text = text.substr(0, 40) + "...";
  throw FormatError(field, text, bound);
}

const json& member(const json& object, const char* name, const std::string& field) {
  const auto found = object.find(name);
  if (found == object.end()) throw FormatError(field, "", "missing");
  return *found;
}

// A feature that must be off: absent, null, false, or an empty text or list.
void require_off(const json& object, const char* name, const std::string& prefix) {
  const auto found = object.find(name);
  if (found == object.end() || found->is_null() || *found == json(false)) return;
  if ((found->is_string() && found->get_ref<const std::string&>().empty()) ||
      (found->is_array() && found->empty()))
    return;
  refuse(prefix + name, *found, "is not supported");
}

}  // namespace

BytePairEncoder BytePairEncoder::from_json(const std::string& text) {
  const json root = parse_bounded_json(text, "tokenizer.json");
  if (!root.is_object()) refuse("tokenizer.json", root, "must be an object");

  for (const char* name : {"added_tokens", "normalizer"}) require_off(root, name, "");
  BytePairEncoder encoder;
  const json& pre = member(root, "pre_tokenizer", "pre_tokenizer");
  if (!pre.is_object() || pre.value("type", json()) != "ByteLevel")
    refuse("pre_tokenizer", pre, "must be ByteLevel");
  require_off(pre, "add_prefix_space", "pre_tokenizer.");
  if (const auto found = pre.find("use_regex"); found != pre.end()) {
    if (!found->is_boolean()) refuse("pre_tokenizer.use_regex", *found, "must be true or false");
    encoder.split_ = found->get<bool>();
  }

  const json& model = member(root, "model", "model");
  if (!model.is_object() || model.value("type", json("BPE")) != "BPE")
    refuse("model", model, "must be of type BPE");
  for (const char* name : {"dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                           "byte_fallback", "ignore_merges"})
    require_off(model, name, "model.");

  const json& vocab = member(model, "vocab", "model.vocab");
  if (!vocab.is_object() || vocab.empty())
    refuse("model.vocab", vocab, "must be an object with at least one token");
  std::unordered_map<std::string, char> byte_of;
  const std::array<std::string, 256> printable = printable_bytes();
  for (std::size_t byte = 0; byte < 256; ++byte) byte_of[printable[byte]] = static_cast<char>(byte);
  for (const auto& [token, id] : vocab.items()) {
    const std::string field = "model.vocab[" + json(token).dump() + "]";
    if (token.empty()) refuse(field, id, "a token must not be empty");
    if (!id.is_number_integer() || id < 0 || id >= kMaxVocab)
      refuse(field, id, "must be an integer in 0..1048575");
    const auto index = id.get<std::size_t>();
    if (index >= encoder.tokens_.size()) encoder.tokens_.resize(index + 1);
    if (!encoder.tokens_[index].empty()) refuse(field, id, "is another token's id");
    encoder.tokens_[index] = token;
  }
  for (const std::string& token : encoder.tokens_) encoder.bytes_.push_back(spelled(token, byte_of));
  encoder.byte_id_.fill(-1);
  for (std::size_t byte = 0; byte < 256; ++byte)
    if (const auto found = vocab.find(printable[byte]); found != vocab.end())
      encoder.byte_id_[byte] = found->get<std::int32_t>();

  const json& merges = member(model, "merges", "model.merges");
  if (!merges.is_array() || static_cast<std::int64_t>(merges.size()) > kMaxVocab)
    refuse("model.merges", merges, "must be a list of at most 1048576");
  const auto id_of = [&](const std::string& token, const std::string& field) {
    const auto found = vocab.find(token);
    if (found == vocab.end()) throw FormatError(field, token, "is not in the vocabulary");
    return found->get<std::int32_t>();
  };
  for (std::size_t rank = 0; rank < merges.size(); ++rank) {
    const json& merge = merges[rank];
    const std::string field = indexed("model.merges", static_cast<long>(rank));
    std::string left, right;
    if (merge.is_array() && merge.size() == 2 && merge[0].is_string() && merge[1].is_string()) {
      left = merge[0].get<std::string>();
      right = merge[1].get<std::string>();
    } else if (merge.is_string()) {  // written by tokenizers before 0.20
      const auto& pair = merge.get_ref<const std::string&>();
      const std::size_t space = pair.find(' ');
      if (space == std::string::npos || pair.find(' ', space + 1) != std::string::npos)
        refuse(field, merge, "must be two tokens with a space between");
      left = pair.substr(0, space);
      right = pair.substr(space + 1);
    } else {
      refuse(field, merge, "must be a pair of tokens");
    }
    encoder.merges_.emplace_back(id_of(left, field), id_of(right, field));
    encoder.merged_.push_back(id_of(left + right, field));
  }
  encoder.build_slots();
  return encoder;
}

std::string BytePairEncoder::to_json() const {
  const json byte_level = {
      {"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", false}, {"use_regex", split_}};
  json vocab = json::object(), merges = json::array();
  for (std::size_t id = 0; id < tokens_.size(); ++id)
    if (!tokens_[id].empty()) vocab[tokens_[id]] = id;
  for (const auto& [left, right] : merges_)
    merges.push_back({tokens_[static_cast<std::size_t>(left)], tokens_[static_cast<std::size_t>(right)]});
  const json root = {{"version", "1.0"},
                     {"truncation", nullptr},
                     {"padding", nullptr},
                     {"added_tokens", json::array()},
                     {"normalizer", nullptr},
                     {"pre_tokenizer", byte_level},
                     {"post_processor", byte_level},
                     {"decoder", byte_level},
                     {"model",
                      {{"type", "BPE"},
                       {"dropout", nullptr},
                       {"unk_token", nullptr},
                       {"continuing_subword_prefix", nullptr},
                       {"end_of_word_suffix", nullptr},
                       {"fuse_unk", false},
                       {"byte_fallback", false},
                       {"ignore_merges", false},
                       {"vocab", vocab},
                       {"merges", merges}}}};
  return root.dump(1);
}

}  // namespace vla_rt
