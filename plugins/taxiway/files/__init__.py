"""How a file is read.

- arrow_lines: Arrow's columns as lines of CSV
- arrow_memory: how Arrow takes memory
- canonical_csv: whether a file is canonical CSV
- csv_columns: CSV that isn't canonical, checked column by column
- csv_fields: reads the fields of a line as Postgres does
- csv_file: the format csv
- csv_gz_file: the format csv.gz
- csv_header: which columns the header names, and how many fields the rows have
- csv_lines: lines, one by one or in blocks
- file_kinds: what a file is that isn't CSV in gzip
- file_format: what a format must provide
- formats: the registry of formats
- gzip_file: unpacks, and checks to the last byte
- mending: a file whose rejected lines come first
- new_columns: columns of a file that its source doesn't know
- parquet_blocks: a Parquet file as blocks of CSV
- parquet_file: the format Parquet
- parquet_text: columns of a Parquet file as fields of CSV
- rejects: lines that can't be read
"""
