"""F-12 and F-13: the reference's readers meet them, and the bugs that name them are found."""

from tests.conformance.loading import ReadersOf


class TestFilesPaths(ReadersOf):
    module = "files_paths"
