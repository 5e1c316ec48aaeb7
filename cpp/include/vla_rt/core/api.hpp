#pragma once
/// Symbol visibility and real-time annotations used by every public header.

#define VLA_RT_API __attribute__((visibility("default")))

/// Marks a function that must not allocate, lock, make a system call or throw. Checked by RealtimeSanitizer
/// where the compiler knows the attribute (clang >= 20); documentation elsewhere.
#if defined(__clang__) && defined(__has_cpp_attribute)
#if __has_cpp_attribute(clang::nonblocking)
#define VLA_RT_NONBLOCKING [[clang::nonblocking]]
#endif
#endif
#ifndef VLA_RT_NONBLOCKING
#define VLA_RT_NONBLOCKING
#endif
