#pragma once

/// Calls of operator new by this thread so far; counted in this room's test program
/// (chunk_executor_test.cpp).
long allocations() noexcept;
