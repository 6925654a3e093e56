// Numbers as people read them. Pure.
#pragma once

#include <cstdint>
#include <string>

namespace gunid {

std::string Duration(double seconds);    // 20ms, 31.4s, 1m15s, 1h02m, 2d07h
std::string Bytes(std::uint64_t bytes);  // 1000B, 53.0MiB

}  // namespace gunid
