"""What the state of a deployment means, and how people see it: findings, marks, rates; as a table, as JSON, as a web page.

May import status/, runtime/run_dir.py, errors.py and channel_layer. findings.py, marks.py, rates.py, report.py and page_access.py are
cores; page.html is the whole page, with its styles and its script. Begin with findings.py, then observer.py.
"""
