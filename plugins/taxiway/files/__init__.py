"""How a file is read: file_kinds, gzip_file, csv_header, csv_lines, canonical_csv, rejects."""
