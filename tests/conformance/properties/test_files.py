"""Each property F holds of the reference's readers, and finds the bug that names it."""

from tests.conformance.loading import ReadersOf


class TestFiles(ReadersOf):
    module = "files"
    schemes = ("gguf", "rq")
