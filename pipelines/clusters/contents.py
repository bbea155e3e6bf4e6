"""What the members of a cluster say and show, and why a cluster is left out of rankings."""

import pyarrow as pa

from ...lance.store import VectorStore
from ...lance.tables import IMAGES
from ..core.database import connect, define_addresses, query
from ..core.lake import Lake

BLANK_STDDEV = 1.0  # of 0 to 255: JPEG leaves less of a single colour; a drawing has more
_COLUMNS = ["sample_id", "sha256", "colour_stddev"]


def describe_clusters(lake: Lake, clusters: pa.Table, members: pa.Table) -> pa.Table:
    """The clusters with the columns of `sql/cluster/contents.sql`, by threshold and cluster_id.

    Args:
        lake: its samples and images are read; without images nothing is blank or a placeholder.
        clusters: threshold, cluster_id and more.
        members: threshold, sample_id, cluster_id (null: unclustered).

    """
    with connect(lake) as connection:
        define_addresses(connection)
        connection.register("found_clusters", clusters)
        connection.register("cluster_members", members)
        connection.register("images", _images(lake))
        values = {"samples": str(lake.samples), "blank_stddev": BLANK_STDDEV}
        return connection.execute(query("cluster/contents"), values).to_arrow_table()


def _images(lake: Lake) -> pa.RecordBatchReader:
    store = VectorStore(lake.vectors)
    if store.exists(IMAGES.name):
        return store.reader(IMAGES.name, _COLUMNS)
    schema = pa.schema([IMAGES.schema.field(name) for name in _COLUMNS])
    return schema.empty_table().to_reader()
