"""Reports of published months, for people. They know no Airflow, and no warehouse: the caller sums up.

- figures: what a report says
- charts: draws it
- page: the page in HTML
- folder: writes page and pictures
"""
