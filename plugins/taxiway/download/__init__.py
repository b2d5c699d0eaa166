"""How a file gets here.

- cache: the folder of verified files and of transfers that aren't complete
- download: fetches a month's file into the cache
- look: asks which files a mirror has, by HEAD
- mirror_address: reads the address of a mirror
- mirror_client: requests to a mirror
- month_file: reads the downloaded file in a later step
- refusals: what an answer means that isn't the file
- size_limits: how large a source's file may be
- transfer: one file's way from the mirror into the cache
- validators: ETag and Last-Modified
"""
