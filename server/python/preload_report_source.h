// The text of python/preload_report.py, which is compiled into gunid-worker.
#pragma once

namespace gunid {

extern const char kPreloadReportSource[];

}  // namespace gunid
