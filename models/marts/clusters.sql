select * from {{ ref('stg_clusters') }}
