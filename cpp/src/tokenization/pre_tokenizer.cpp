#include "tokenization/pre_tokenizer.hpp"

#include "tokenization/unicode_classes.hpp"

namespace vla_rt {
namespace {

// Length of 's, 't, 'm, 'd, 're, 've or 'll at the front of the text; 0: none.
std::size_t contraction(std::span<const std::int32_t> text) noexcept {
  if (text.size() < 2 || text[0] != '\'') return 0;
  const std::int32_t a = text[1];
  if (a == 's' || a == 't' || a == 'm' || a == 'd') return 2;
  if (text.size() < 3) return 0;
  const std::int32_t b = text[2];
  return (a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l') ? 3 : 0;
}

}  // namespace

std::size_t next_piece(std::span<const std::int32_t> text) noexcept {
  if (const std::size_t length = contraction(text); length > 0) return length;

  // A run of letters, numbers or others, which may begin with one plain space.
  std::size_t i = 0;
  if (text[0] == ' ' && text.size() > 1 && character_class(text[1]) != CharacterClass::Space) i = 1;
  const CharacterClass type = character_class(text[i]);
  while (i < text.size() && character_class(text[i]) == type) ++i;
  if (type != CharacterClass::Space) return i;

  // A run of spaces leaves its last one to what follows, unless it is the only one or nothing follows.
  return i == text.size() || i == 1 ? i : i - 1;
}

}  // namespace vla_rt
