"""F-09, F-10 and F-11: the reference's readers meet them, and the bugs that name them are found."""

from tests.conformance.loading import ReadersOf


class TestFilesContents(ReadersOf):
    module = "files_contents"
