"""A comparison of two models as one page: what is on it, how it is drawn, and how it is written.

text  cards  sizes  weights       what is said of a model
figures  plots  svg               what is drawn
contents  page                    all of it, and the file

Needs the extra ``refquant[report]``: matplotlib is imported in `refquant.report.svg`, jinja2 in
`refquant.report.page`, and nowhere else. Everything else here makes plain data.
"""
