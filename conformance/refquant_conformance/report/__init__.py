"""Reports: JSON with a schema, JUnit for continuous integration, one page for people."""
