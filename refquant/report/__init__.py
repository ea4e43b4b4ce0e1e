"""A comparison of two models as one page: what is on it, how it is drawn, and how it is written.

Needs the extra ``refquant[report]``: matplotlib is imported in `refquant.report.svg`, jinja2 in
`refquant.report.page`, and nowhere else. Everything else here makes plain data.
"""
