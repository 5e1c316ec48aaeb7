#pragma once
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace vla_rt::xml {

/// One element of a document; children are indices into `Document::elements`.
struct Element {
  std::string name;
  std::vector<std::pair<std::string, std::string>> attributes;
  std::vector<int> children;
  int line = 0;

  /// nullptr when absent.
  [[nodiscard]] const std::string* attribute(std::string_view key) const noexcept;
};

/// Elements in document order; the first is the root. Text content is dropped: robot descriptions keep
/// nothing there.
struct Document {
  std::vector<Element> elements;
  [[nodiscard]] const Element& root() const noexcept { return elements.front(); }
};

/// Reads the subset of XML that robot descriptions use: elements, attributes, comments, CDATA, processing
/// instructions, the five named entities and character references. Document types are refused, so that no
/// entity can expand without bound. Throws FormatError "<name>:<line>" for anything else, over 64 levels of
/// nesting or over 16 MiB.
[[nodiscard]] Document parse(std::string_view text, const std::string& name);

}  // namespace vla_rt::xml
