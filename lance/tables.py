"""The Lance tables, declared once: their names, their columns and how large their files get."""

from dataclasses import dataclass

import pyarrow as pa

OK = "ok"
NOT_FINITE = "not_finite"  # of a vector
BLOCKED = "blocked"  # of a generation: its model's safety checker put a black image in its place
MADE_BY = b"memtriggers_made_by"  # in the schema of a table of vectors: the model, as JSON

# In the same place, or in a table's own metadata: no picture was made smaller before it was RGB.
RGB_FIRST = b"memtriggers_rgb_first"

# Rows in one file after compaction: about 1 GB of images, or as many vectors as are compacted at a
# time. The last file is written again by the next compaction, so larger ones would make every night
# write more.
IMAGE_ROWS_PER_FILE = 50_000
VECTOR_ROWS_PER_FILE = 131_072


@dataclass(frozen=True)
class LanceTable:
    """One Lance table, the folder `<name>.lance`."""

    name: str
    schema: pa.Schema
    rows_per_file: int = VECTOR_ROWS_PER_FILE


IMAGES = LanceTable(
    "images",
    pa.schema(
        [
            ("sample_id", pa.string()),
            ("status", pa.string()),  # 'ok', or why there is no image: 'not_found', 'timeout', …
            ("status_reason", pa.string()),  # the detail; null when ok
            ("image", pa.large_binary()),  # encoded JPEG, PNG or WebP; null unless ok
            ("width", pa.int32()),  # pixels of the stored image
            ("height", pa.int32()),
            ("original_width", pa.int32()),  # pixels of what was fetched, upright
            ("original_height", pa.int32()),
            ("n_bytes", pa.int64()),  # of what was fetched; null when nothing came
            ("sha256", pa.string()),  # of what was fetched, in hex
            ("perceptual_hash", pa.string()),  # dHash of the stored image, 16 hex digits
            ("colour_stddev", pa.float64()),  # of red, green and blue (0 to 255) the largest
            ("fetched_at", pa.timestamp("us", tz="UTC")),
        ]
    ),
    IMAGE_ROWS_PER_FILE,
)

# What the images of a keyword set are compared with: samples of the whole dataset, by chance.
BACKGROUND_IMAGES = LanceTable("background_images", IMAGES.schema, IMAGE_ROWS_PER_FILE)

GENERATED_IMAGES = LanceTable(
    "generated_images",
    pa.schema(
        [
            ("image_id", pa.string()),  # md5, in hex, of generator_id, prompt_id and seed
            ("generator_id", pa.string()),
            ("prompt_id", pa.string()),
            ("seed", pa.int64()),
            ("status", pa.string()),  # 'ok', or why there is no image: 'blocked'
            ("image", pa.large_binary()),  # PNG, which loses nothing; null unless ok
            ("width", pa.int32()),  # pixels
            ("height", pa.int32()),
            ("generated_at", pa.timestamp("us", tz="UTC")),
        ]
    ),
    IMAGE_ROWS_PER_FILE,
)


def generated_vectors_name(clip_id: str) -> str:
    """The name of a model's table of embeddings of generated images."""
    return f"generated_vectors-{clip_id}"


def generated_copy_vectors_name(copy_id: str) -> str:
    """The name of the table of what a descriptor of copies makes of generated images."""
    return f"generated_copy_vectors-{copy_id}"


def image_vectors(clip_id: str, dimensions: int, made_by: str = "") -> LanceTable:
    """The image embeddings of one model, unit norm; the vector is null when status is not ok."""
    return _vectors(image_vectors_name(clip_id), dimensions, made_by)


def caption_vectors(clip_id: str, dimensions: int, made_by: str = "") -> LanceTable:
    """The caption embeddings of one model, unit norm; the vector is null when status is not ok."""
    return _vectors(caption_vectors_name(clip_id), dimensions, made_by)


def image_vectors_name(clip_id: str) -> str:
    """The name of a model's table of image embeddings."""
    return f"image_vectors-{clip_id}"


def caption_vectors_name(clip_id: str) -> str:
    """The name of a model's table of caption embeddings."""
    return f"caption_vectors-{clip_id}"


def copy_vectors_name(copy_id: str) -> str:
    """The name of the table of what a descriptor of copies makes of the images."""
    return f"copy_vectors-{copy_id}"


def _vectors(name: str, dimensions: int, made_by: str) -> LanceTable:
    """A table of vectors, unit norm; the vector is null when status is not ok."""
    schema = pa.schema(
        [
            ("sample_id", pa.string()),
            ("vector", pa.list_(pa.float16(), dimensions)),
            ("status", pa.string()),  # OK or NOT_FINITE
        ],
        {MADE_BY: made_by, RGB_FIRST: "yes"},
    )
    return LanceTable(name, schema)
