-- Give rows without a url and a key the hash of their image. Tables kept_rows, rows_to_hash, byte_keys.
update kept_rows set source_id = byte_keys.hash
from byte_keys
join rows_to_hash using (source_file, source_row)
where
    rows_to_hash.is_key
    and kept_rows.source_file = byte_keys.source_file
    and kept_rows.source_row = byte_keys.source_row;
