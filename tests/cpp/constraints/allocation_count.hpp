#pragma once

/// Calls of operator new by this thread so far; counted in this room's test program (realtime_test.cpp).
long allocations_so_far() noexcept;
