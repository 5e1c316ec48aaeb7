#pragma once

/// Calls of operator new by the calling thread so far; counted in every test program.
long allocations() noexcept;
