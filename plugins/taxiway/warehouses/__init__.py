"""How each warehouse loads a month: postgres, bigquery; sql renders the files of ``include/sql`` for both."""
