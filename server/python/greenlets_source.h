// The text of python/greenlets.py, which is compiled into gunid-worker.
#pragma once

namespace gunid {

extern const char kGreenletsSource[];

}  // namespace gunid
