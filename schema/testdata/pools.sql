CREATE EXTERNAL TABLE IF NOT EXISTS `audit`.`pools` (
  `section` string,
  `id` string,
  `state` string,
  `detail` string,
  `data` string,
  `snapshot_id` string
)
PARTITIONED BY (`source` string, `dt` string)
STORED AS PARQUET
LOCATION 's3://bucket/lake/pools/'
TBLPROPERTIES (
  'classification' = 'parquet',
  'parquet.compression' = 'ZSTD',
  'projection.enabled' = 'true',
  'projection.source.type' = 'enum',
  'projection.source.values' = 'acme,trail',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '2015-01-01,NOW+1DAY',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = 's3://bucket/lake/pools/source=${source}/dt=${dt}/'
)
