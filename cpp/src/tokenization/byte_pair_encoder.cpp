#include "vla_rt/tokenization/byte_pair_encoder.hpp"

#include <algorithm>
#include <bit>

#include "tokenization/pre_tokenizer.hpp"
#include "vla_rt/core/errors.hpp"

namespace vla_rt {
namespace {

constexpr std::int32_t kNone = -1;

constexpr std::uint64_t kNothing = ~std::uint64_t{0};

// The symbols of one piece as a linked list that merging shortens. Each symbol plays the pair with its right
// neighbour, as rank << 32 | position, in a tournament whose winner, the leftmost pair of the lowest rank, is
// at the root.
struct Symbols {
  std::vector<std::int32_t> id, next, previous;
  std::vector<std::uint64_t> tree;  // root at 1, leaves from `leaves` on
  std::size_t leaves = 0;

  void reserve(std::size_t length) {
    id.reserve(2 * length);
    next.reserve(2 * length);
    previous.reserve(2 * length);
    tree.reserve(4 * length);
  }
  void build() {
    const std::size_t n = id.size();
    leaves = std::bit_ceil(n);
    tree.assign(2 * leaves, kNothing);
    next.resize(n);
    previous.resize(n);
    for (std::size_t i = 0; i < n; ++i) {
      next[i] = i + 1 < n ? static_cast<std::int32_t>(i) + 1 : kNone;
      previous[i] = static_cast<std::int32_t>(i) - 1;
    }
  }
  void play_all() {
    for (std::size_t i = leaves; i-- > 1;) tree[i] = std::min(tree[2 * i], tree[2 * i + 1]);
  }
  void play(std::size_t i, std::uint64_t pair) {
    i += leaves;
    tree[i] = pair;
    while (i > 1) {
      const std::uint64_t winner = std::min(tree[i], tree[i ^ 1]);
      i /= 2;
      if (tree[i] == winner) return;
      tree[i] = winner;
    }
  }
};

std::uint64_t hash(std::int32_t left, std::int32_t right) noexcept {
  const std::uint64_t pair = (static_cast<std::uint64_t>(left) << 32) | static_cast<std::uint32_t>(right);
  const std::uint64_t mixed = pair * 0x9E3779B97F4A7C15U;
  return mixed ^ (mixed >> 32);
}

void require_code_points(std::span<const std::int32_t> text, const std::string& name) {
  for (std::size_t i = 0; i < text.size(); ++i)
    if (text[i] < 0 || text[i] > BytePairEncoder::kMaxCodePoint)
      throw ConfigError(indexed(name, static_cast<long>(i)), std::to_string(text[i]),
                        "must be in 0.." + std::to_string(BytePairEncoder::kMaxCodePoint));
}

}  // namespace

void BytePairEncoder::build_slots() {
  slots_.assign(std::bit_ceil(4 * merges_.size() + 2), Slot{});
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t rank = 0; rank < merges_.size(); ++rank) {
    const std::uint64_t key = hash(merges_[rank].first, merges_[rank].second);
    std::size_t i = key & mask;
    while (slots_[i].rank != kNone && merges_[static_cast<std::size_t>(slots_[i].rank)] != merges_[rank])
      i = (i + 1) & mask;
    // Of a pair learnt twice the last one counts.
    slots_[i] = {static_cast<std::uint32_t>(key >> 32), static_cast<std::int32_t>(rank)};
  }
}

[[gnu::always_inline]] inline std::int32_t BytePairEncoder::rank_of(std::int32_t left,
                                                                    std::int32_t right) const noexcept {
  const std::uint64_t key = hash(left, right);
  const std::size_t mask = slots_.size() - 1;
  for (std::size_t i = key & mask; slots_[i].rank != kNone; i = (i + 1) & mask)
    if (slots_[i].check == static_cast<std::uint32_t>(key >> 32) &&
        merges_[static_cast<std::size_t>(slots_[i].rank)] == std::pair{left, right})
      return slots_[i].rank;
  return kNone;
}

void BytePairEncoder::encode(std::span<const std::int32_t> text, std::vector<std::int32_t>& ids,
                             const std::string& name) const {
  require_code_points(text, name);
  Symbols s;
  s.reserve(text.size());
  for (std::size_t from = 0; from < text.size();) {
    const std::size_t to = split_ ? from + next_piece(text.subspan(from)) : text.size();
    s.id.clear();
    for (; from < to; ++from) {
      const std::int32_t c = text[from];
      if (c < 0x80) {
        s.id.push_back(byte_id_[static_cast<std::size_t>(c)]);
      } else if (c < 0x800) {
        s.id.push_back(byte_id_[static_cast<std::size_t>(0xC0 | (c >> 6))]);
        s.id.push_back(byte_id_[static_cast<std::size_t>(0x80 | (c & 0x3F))]);
      } else {
        s.id.push_back(byte_id_[static_cast<std::size_t>(0xE0 | (c >> 12))]);
        s.id.push_back(byte_id_[static_cast<std::size_t>(0x80 | ((c >> 6) & 0x3F))]);
        s.id.push_back(byte_id_[static_cast<std::size_t>(0x80 | (c & 0x3F))]);
      }
      const bool missing = s.id.back() == kNone || (c >= 0x80 && *(s.id.end() - 2) == kNone) ||
                           (c >= 0x800 && *(s.id.end() - 3) == kNone);
      if (missing)
        throw ConfigError(indexed(name, static_cast<long>(from)), std::to_string(c),
                          "has a byte that is not in the vocabulary");
    }
    if (s.id.size() == 1) {
      ids.push_back(s.id[0]);
      continue;
    }

    s.build();
    const auto pair_of = [&](std::size_t i) {
      if (s.next[i] == kNone) return kNothing;
      const std::int32_t rank = rank_of(s.id[i], s.id[static_cast<std::size_t>(s.next[i])]);
      return rank == kNone ? kNothing : (static_cast<std::uint64_t>(rank) << 32) | i;
    };
    for (std::size_t i = 0; i < s.id.size(); ++i) s.tree[s.leaves + i] = pair_of(i);
    s.play_all();
    while (s.tree[1] != kNothing) {
      const std::size_t i = s.tree[1] & 0xFFFFFFFFU;
      const auto j = static_cast<std::size_t>(s.next[i]);
      s.id[i] = merged_[s.tree[1] >> 32];
      s.next[i] = s.next[j];
      if (s.next[i] != kNone) s.previous[static_cast<std::size_t>(s.next[i])] = static_cast<std::int32_t>(i);
      s.play(j, kNothing);
      s.play(i, pair_of(i));
      if (const std::int32_t before = s.previous[i]; before != kNone)
        s.play(static_cast<std::size_t>(before), pair_of(static_cast<std::size_t>(before)));
    }
    for (std::int32_t i = 0; i != kNone; i = s.next[static_cast<std::size_t>(i)])
      ids.push_back(s.id[static_cast<std::size_t>(i)]);
  }
}

std::vector<std::size_t> BytePairEncoder::pieces(std::span<const std::int32_t> text) const {
  require_code_points(text, "text");
  std::vector<std::size_t> lengths;
  for (std::size_t from = 0; from < text.size(); from += lengths.back())
    lengths.push_back(split_ ? next_piece(text.subspan(from)) : text.size());
  return lengths;
}

std::string BytePairEncoder::decode(std::span<const std::int64_t> ids) const {
  std::string text;
  text.reserve(8 * ids.size());
  for (std::size_t i = 0; i < ids.size(); ++i) {
    const std::int64_t id = ids[i];
    if (id < 0 || id >= vocab_size() || tokens_[static_cast<std::size_t>(id)].empty())
      throw ConfigError(indexed("tokens", static_cast<long>(i)), std::to_string(id),
                        "must be an id of the vocabulary, 0.." + std::to_string(vocab_size() - 1));
    text += bytes_[static_cast<std::size_t>(id)];
  }
  return text;
}

}  // namespace vla_rt
