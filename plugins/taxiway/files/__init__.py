"""How a file is read.

- canonical_csv: whether a file is canonical CSV
- csv_header: which columns the header names, and how many fields the rows have
- csv_lines: lines, one by one or in blocks
- file_kinds: what a file is that isn't CSV in gzip
- gzip_file: unpacks, and checks to the last byte
- new_columns: columns of a file that its source doesn't know
- rejects: lines that can't be read
"""
