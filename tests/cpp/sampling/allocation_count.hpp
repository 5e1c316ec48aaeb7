#pragma once

/// Calls of operator new by this thread so far; counted in this room's test program
/// (flow_matching_sampler_test.cpp).
extern thread_local long allocation_count;
