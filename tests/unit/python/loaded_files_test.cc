#include "python/loaded_files.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "python/python_fixture.h"

namespace gunid {
namespace {

using testing::Each;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::UnorderedElementsAre;

TEST(LoadedFiles, NamesNewModulesOutsideTheStandardLibraryOnce) {
  LoadedFiles loaded;
  loaded.TakeNew();
  const TemporaryFolder folder;
  folder.Write("loaded_one.py", "import xml.dom.minidom");
  folder.Write("loaded_two.py", "");
  Snippet snippet("import loaded_one, loaded_two");
  EXPECT_THAT(loaded.TakeNew(),
              UnorderedElementsAre(EndsWith("/loaded_one.py"), EndsWith("/loaded_two.py")));
  EXPECT_THAT(loaded.TakeNew(), IsEmpty());
}

TEST(LoadedFiles, LooksOverWhatIsNoModule) {
  LoadedFiles loaded;
  loaded.TakeNew();
  Snippet snippet(
      "import sys, types\n"
      "sys.modules['odd_none'] = None\n"
      "sys.modules['odd_number'] = 1\n"
      "sys.modules['odd_file'] = types.ModuleType('odd_file')\n"
      "sys.modules['odd_file'].__file__ = 1\n"
      "sys.modules['odd_text'] = types.ModuleType('odd_text')\n"
      "sys.modules['odd_text'].__file__ = '/\\ud800'\n"
      "class Lazy(types.ModuleType):\n"
      "    def __getattr__(self, name): raise SystemExit\n"
      "sys.modules['odd_lazy'] = Lazy('odd_lazy')\n");
  EXPECT_THAT(loaded.TakeNew(), IsEmpty());
  EXPECT_EQ(PyErr_Occurred(), nullptr);
  snippet.Exec(
      "for name in [n for n in sys.modules if n.startswith('odd_')]: del sys.modules[name]");
}

TEST(LoadedFiles, LeavesTheStandardLibraryOut) {
  Snippet snippet("import json.tool");
  EXPECT_THAT(LoadedFiles().TakeNew(), Each(Not(HasSubstr("/json/"))));
}

}  // namespace
}  // namespace gunid
