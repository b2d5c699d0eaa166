"""How a file gets here: download (a month's file), transfer, mirror_client, mirror_address, validators, refusals,
size_limits, cache, month_file (the file as a later step finds it)."""
