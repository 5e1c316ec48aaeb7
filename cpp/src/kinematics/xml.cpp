#include "kinematics/xml.hpp"

#include <algorithm>
#include <charconv>
#include <cstdint>

#include "vla_rt/core/errors.hpp"

namespace vla_rt::xml {
namespace {

constexpr std::size_t kMaxBytes = std::size_t{16} << 20;
constexpr std::size_t kMaxDepth = 64;

bool is_space(char c) noexcept { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }
bool is_name(char c) noexcept {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-' ||
         c == '.' || c == ':' || static_cast<unsigned char>(c) >= 0x80;
}

void append_utf8(std::string& out, std::uint32_t code) {
  const auto tail = [&](int shift) { out += static_cast<char>(0x80u | ((code >> shift) & 0x3Fu)); };
  if (code < 0x80) {
    out += static_cast<char>(code);
  } else if (code < 0x800) {
    out += static_cast<char>(0xC0u | (code >> 6));
    tail(0);
  } else if (code < 0x10000) {
    out += static_cast<char>(0xE0u | (code >> 12));
    tail(6), tail(0);
  } else {
    out += static_cast<char>(0xF0u | (code >> 18));
    tail(12), tail(6), tail(0);
  }
}

// Length of the well-formed UTF-8 sequence that `text` begins with; 0 when there is none.
std::size_t utf8_length(std::string_view text) noexcept {
  const auto byte = [&](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0u; };
  const unsigned lead = byte(0);
  if (lead < 0x80) return 1;
  const std::size_t n = lead >= 0xC2 && lead < 0xE0   ? 2
                        : lead >= 0xE0 && lead < 0xF0 ? 3
                        : lead >= 0xF0 && lead < 0xF5 ? 4
                                                      : 0;
  for (std::size_t i = 1; i < n; ++i)
    if ((byte(i) & 0xC0u) != 0x80u) return 0;
  const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
  const bool outside = (lead == 0xED && byte(1) >= 0xA0) || (lead == 0xF4 && byte(1) >= 0x90);
  return overlong || outside ? 0 : n;
}

class Reader {
 public:
  Reader(std::string_view text, const std::string& name) : text_(text), name_(name) {}

  Document read() {
    if (text_.size() > kMaxBytes) fail("larger than 16 MiB");
    while (at_ < text_.size()) {
      const std::size_t step = utf8_length(text_.substr(at_));
      if (step == 0 || text_[at_] == '\0') fail("is not UTF-8 text");
      at_ += step;
    }
    at_ = text_.starts_with("\xEF\xBB\xBF") ? 3 : 0;
    while (true) {
      skip_text();
      if (at_ >= text_.size()) break;
      read_markup();
    }
    if (!open_.empty()) fail("<" + element(open_.back()).name + "> is not closed");
    if (document_.elements.empty()) fail("holds no element");
    return std::move(document_);
  }

 private:
  [[noreturn]] void fail(const std::string& what) const {
    const auto line = 1 + std::ranges::count(text_.substr(0, std::min(at_, text_.size())), '\n');
    throw FormatError(name_ + ":" + std::to_string(line), "", what);
  }
  Element& element(int index) { return document_.elements[static_cast<std::size_t>(index)]; }
  [[nodiscard]] bool starts(std::string_view token) const { return text_.substr(at_).starts_with(token); }
  [[nodiscard]] char peek() const { return at_ < text_.size() ? text_[at_] : '\0'; }
  void skip_space() {
    while (at_ < text_.size() && is_space(text_[at_])) ++at_;
  }
  void skip_past(std::string_view end, const char* what) {
    const std::size_t found = text_.find(end, at_);
    if (found == std::string_view::npos) fail(std::string(what) + " is not closed");
    at_ = found + end.size();
  }
  void skip_text() {
    const std::size_t found = text_.find('<', at_);
    const std::size_t end = found == std::string_view::npos ? text_.size() : found;
    if (open_.empty() && !std::ranges::all_of(text_.substr(at_, end - at_), is_space))
      fail("text outside the root element");
    at_ = end;
  }
  std::string read_name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    if (begin == at_) fail("a name is expected");
    return std::string(text_.substr(begin, at_ - begin));
  }

  void read_markup() {
    if (starts("<!--")) return skip_past("-->", "a comment");
    if (starts("<?")) return skip_past("?>", "a processing instruction");
    if (starts("<![CDATA[")) {
      if (open_.empty()) fail("CDATA outside the root element");
      return skip_past("]]>", "CDATA");
    }
    if (starts("<!")) fail("document types are refused");
    if (starts("</")) return read_closing();
    read_opening();
  }

  void read_closing() {
    at_ += 2;
    const std::string name = read_name();
    skip_space();
    if (peek() != '>') fail("'>' is expected");
    ++at_;
    if (open_.empty() || element(open_.back()).name != name)
      fail("</" + name + "> closes nothing that is open");
    open_.pop_back();
  }

  void read_opening() {
    if (open_.empty() && !document_.elements.empty()) fail("more than one root element");
    if (open_.size() >= kMaxDepth) fail("nested deeper than 64 levels");
    Element e;
    e.line = static_cast<int>(1 + std::ranges::count(text_.substr(counted_, at_ - counted_), '\n')) + lines_;
    lines_ = e.line - 1;
    counted_ = at_;
    ++at_;
    e.name = read_name();
    while (true) {
      const std::size_t before = at_;
      skip_space();
      if (peek() == '>' || starts("/>")) break;
      if (before == at_) fail("white space is expected before an attribute");
      read_attribute(e);
    }
    const bool empty = peek() == '/';
    at_ += empty ? 2 : 1;
    const int index = static_cast<int>(document_.elements.size());
    if (!open_.empty()) element(open_.back()).children.push_back(index);
    document_.elements.push_back(std::move(e));
    if (!empty) open_.push_back(index);
  }

  void read_attribute(Element& e) {
    std::string key = read_name();
    skip_space();
    if (peek() != '=') fail("'=' is expected after attribute " + key);
    ++at_;
    skip_space();
    const char quote = peek();
    if (quote != '"' && quote != '\'') fail("attribute " + key + " needs quotes");
    ++at_;
    const std::size_t end = text_.find(quote, at_);
    if (end == std::string_view::npos) fail("attribute " + key + " is not closed");
    const std::string_view raw = text_.substr(at_, end - at_);
    if (raw.find('<') != std::string_view::npos) fail("'<' inside attribute " + key);
    if (e.attribute(key) != nullptr) fail("attribute " + key + " is given twice");
    std::string value = unescape(raw);
    at_ = end + 1;
    e.attributes.emplace_back(std::move(key), std::move(value));
  }

  [[nodiscard]] std::string unescape(std::string_view raw) const {
    std::string out;
    for (std::size_t i = 0; i < raw.size(); ++i) {
      if (raw[i] != '&') {
        out += raw[i];
        continue;
      }
      const std::size_t end = raw.find(';', i);
      if (end == std::string_view::npos) fail("an entity is not closed by ';'");
      const std::string_view entity = raw.substr(i + 1, end - i - 1);
      if (entity == "lt")
        out += '<';
      else if (entity == "gt")
        out += '>';
      else if (entity == "amp")
        out += '&';
      else if (entity == "quot")
        out += '"';
      else if (entity == "apos")
        out += '\'';
      else if (entity.starts_with('#'))
        append_utf8(out, character(entity.substr(1)));
      else
        fail("unknown entity &" + std::string(entity) + ";");
      i = end;
    }
    return out;
  }

  [[nodiscard]] std::uint32_t character(std::string_view digits) const {
    const bool hex = digits.starts_with('x');
    if (hex) digits.remove_prefix(1);
    std::uint32_t code = 0;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), code, hex ? 16 : 10);
    const bool whole = error == std::errc{} && end == digits.data() + digits.size() && !digits.empty();
    if (!whole || code == 0 || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
      fail("a character reference is wrong");
    return code;
  }

  std::string_view text_;
  const std::string& name_;
  std::size_t at_ = 0, counted_ = 0;
  int lines_ = 0;
  std::vector<int> open_;
  Document document_;
};

}  // namespace

const std::string* Element::attribute(std::string_view key) const noexcept {
  const auto it =
      std::ranges::find(attributes, key, [](const auto& a) -> std::string_view { return a.first; });
  return it == attributes.end() ? nullptr : &it->second;
}

Document parse(std::string_view text, const std::string& name) { return Reader(text, name).read(); }

}  // namespace vla_rt::xml
