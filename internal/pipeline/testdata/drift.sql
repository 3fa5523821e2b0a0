CREATE EXTERNAL TABLE IF NOT EXISTS `audit`.`drift` (
  `compared_at` timestamp,
  `left_source` string,
  `left_snapshot` string,
  `right_source` string,
  `right_snapshot` string,
  `type` string,
  `severity` string,
  `confidence` string,
  `person_key` string,
  `left_id` string,
  `left_name` string,
  `right_id` string,
  `right_name` string,
  `rule` string,
  `field` string,
  `left_value` string,
  `right_value` string,
  `detail` string
)
PARTITIONED BY (`dt` string)
STORED AS PARQUET
LOCATION 's3://bucket/lake/drift/'
TBLPROPERTIES (
  'classification' = 'parquet',
  'parquet.compression' = 'ZSTD',
  'projection.enabled' = 'true',
  'projection.dt.type' = 'date',
  'projection.dt.format' = 'yyyy-MM-dd',
  'projection.dt.range' = '2015-01-01,NOW+1DAY',
  'projection.dt.interval' = '1',
  'projection.dt.interval.unit' = 'DAYS',
  'storage.location.template' = 's3://bucket/lake/drift/dt=${dt}/'
)
