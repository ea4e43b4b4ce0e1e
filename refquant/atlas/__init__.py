"""The divergence atlas: whether two contracts compute the same, and the smallest input if not.

``staircase`` decides for all float32 at once, ``probes`` has the rulers and the data, ``stages``
what a contract computes in each place where contracts differ, ``compare`` the verdict on two
contracts or on all, ``page`` the generated page ``docs/concepts/atlas.md``.
"""
