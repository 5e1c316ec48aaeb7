#pragma once
#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "vla_rt/core/api.hpp"

namespace vla_rt {

/// Byte-level byte-pair encoding (BPE) as GPT-2 and the `tokenizers` library do it: text is cut into pieces
/// by GPT-2's pattern, and in each piece the pair of neighbours that was learnt first is merged, until no
/// learnt pair is left.
///
/// Text is a sequence of code points below U+D800 (kMaxCodePoint); the letters, numbers and spaces among them
/// are those of Unicode 16. Thread: immutable; any number of threads.
class VLA_RT_API BytePairEncoder {
 public:
  static constexpr std::int32_t kMaxCodePoint = 0xD7FF;
  static constexpr std::int64_t kMaxVocab = std::int64_t{1} << 20;

  BytePairEncoder() = default;

  /// Reads the text of a `tokenizer.json`. Throws FormatError naming the field for anything but a byte-level
  /// BPE without normaliser, added tokens, dropout, prefixes and suffixes, or with ids, merges or tokens that
  /// contradict each other.
  [[nodiscard]] static BytePairEncoder from_json(const std::string& text);
  /// The text of a `tokenizer.json` that `tokenizers` and `from_json` read back to the same encoder.
  [[nodiscard]] std::string to_json() const;

  /// Ids are below this; some may be unused.
  [[nodiscard]] std::int64_t vocab_size() const noexcept { return static_cast<std::int64_t>(bytes_.size()); }

  /// Appends the ids of a text. Throws ConfigError naming "<name>[i]" for a code point above kMaxCodePoint,
  /// or with a byte that is missing from the vocabulary (`tokenizers` drops such bytes silently).
  void encode(std::span<const std::int32_t> text, std::vector<std::int32_t>& ids,
              const std::string& name = "text") const;

  /// The lengths of the pieces that a text is cut into before merging. Throws ConfigError as `encode`.
  [[nodiscard]] std::vector<std::size_t> pieces(std::span<const std::int32_t> text) const;

  /// The bytes the ids spell. Throws ConfigError naming "tokens[i]" for an id that is not in the vocabulary.
  [[nodiscard]] std::string decode(std::span<const std::int64_t> ids) const;

 private:
  struct Slot {
    std::uint32_t check = 0;  // upper half of the pair's hash
    std::int32_t rank = -1;   // -1: the slot is empty
  };
  [[nodiscard]] std::int32_t rank_of(std::int32_t left, std::int32_t right) const noexcept;
  void build_slots();

  std::vector<std::string> tokens_;                            // by id, as written in the file; empty: unused
  std::vector<std::string> bytes_;                             // by id, what it spells
  std::vector<std::pair<std::int32_t, std::int32_t>> merges_;  // by rank
  std::vector<std::int32_t> merged_;                           // by rank, the id that comes out
  std::array<std::int32_t, 256> byte_id_{};                    // -1: not in the vocabulary
  std::vector<Slot> slots_;                                    // open addressing, a power of two
  bool split_ = true;                                          // use_regex
};

}  // namespace vla_rt
